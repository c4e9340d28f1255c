//! Delivery to a device: first the backlog, in batches that the client asks for, then each stanza as it comes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, error};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::registry::Client;
use crate::directory::{Address, Family};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::queue::{self, Backlog, Row};
use crate::wire;

/// Stanzas of the backlog that come unasked, right after the preview.
const PRIMER: u64 = 5;

/// How long the server waits for a client to ask for more of its backlog. A client that never asks gets the rest all
/// the same, [`UNASKED`] at a time.
const PATIENCE: Duration = Duration::from_secs(2);
const UNASKED: u64 = 200;

/// Rows read at once.
const READ: u32 = 100;

/// Serves one active client until its connection ends. With `bare`, messages between two people name their sender
/// without its device.
pub(crate) async fn run(store: Arc<Store>, address: Address, client: Arc<Client>, bare: bool) {
    let ended = tokio::select! {
        () = client.close.cancelled() => Ok(()),
        ended = deliver(&store, &address, &client, bare) => ended,
    };
    match ended {
        Ok(()) | Err(Error::Stopped) => {}
        Err(cause) => {
            error!(client = client.id, cause = %cause.for_log(), "delivery failed; the connection is closed");
            client.close.cancel();
        }
    }
}

async fn deliver(store: &Store, address: &Address, client: &Client, bare: bool) -> Result<()> {
    let device = address.clone();
    let backlog = store.run(move |unit| queue::backlog(unit, &device)).await?;
    debug!(client = client.id, waiting = backlog.total(), "active");
    if backlog.total() > 0 {
        client.credit.fetch_add(PRIMER, Ordering::AcqRel);
        client.send(&preview(&backlog))?;
    }
    let mut seq = 0;
    while seq < backlog.last {
        let rows = read(store, address, seq).await?;
        if rows.is_empty() {
            break;
        }
        let mut passed = Vec::new();
        for row in rows.into_iter().take_while(|row| row.seq <= backlog.last) {
            seq = row.seq;
            let payload = if row.passing {
                passed.push(seq);
                client.active().await;
                row.payload
            } else {
                spend_credit(client).await;
                client.active().await;
                rewritten(&row.payload, true, bare)?
            };
            if !client.send_row(payload, seq).await {
                return Ok(());
            }
        }
        forget(store, passed).await?;
    }
    seq = backlog.last;
    // Clients wait for this mark after every login, for a minute if it does not come.
    let end = NodeBuilder::new("offline").attr("count", backlog.total()).build();
    client.send(&from_server("ib").children([end]).build())?;
    loop {
        let woken = client.wake.notified();
        let rows = read(store, address, seq).await?;
        if rows.is_empty() {
            woken.await;
            continue;
        }
        // What is stored after this was read wakes the client.
        let are_all = rows.len() < READ as usize;
        let mut passed = Vec::new();
        for row in rows {
            client.active().await;
            seq = row.seq;
            if row.passing {
                passed.push(seq);
            }
            let payload = if bare {
                rewritten(&row.payload, false, bare)?
            } else {
                row.payload
            };
            if !client.send_row(payload, seq).await {
                return Ok(());
            }
        }
        forget(store, passed).await?;
        if are_all {
            woken.await;
        }
    }
}

/// Takes off what nobody acknowledges.
async fn forget(store: &Store, passed: Vec<i64>) -> Result<()> {
    if passed.is_empty() {
        return Ok(());
    }
    store
        .run(move |unit| passed.into_iter().try_for_each(|seq| queue::remove(unit, seq)))
        .await
}

async fn read(store: &Store, address: &Address, seq: i64) -> Result<Vec<Row>> {
    let device = address.clone();
    store
        .run(move |unit| queue::after(unit, &device, seq, READ))
        .await
}

/// Waits until the client wants one more stanza of its backlog.
async fn spend_credit(client: &Client) {
    loop {
        let pulled = client.pull.notified();
        let spent = client
            .credit
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |credit| {
                credit.checked_sub(1)
            });
        if spent.is_ok() {
            return;
        }
        if tokio::time::timeout(PATIENCE, pulled).await.is_err() {
            client.credit.fetch_add(UNASKED, Ordering::AcqRel);
        }
    }
}

/// Marks a stanza of the backlog as such, by which clients count their progress. With `bare`, takes the sender's
/// device off a person's message.
fn rewritten(payload: &[u8], offline: bool, bare: bool) -> Result<Vec<u8>> {
    let mut node = wire::decode(payload)?;
    if offline {
        node.attrs.insert("offline", "1");
    }
    let sender = wire::attr_jid(&node, "from").filter(|from| Family::of(from).is_some());
    if let (true, "message", Some(sender)) = (bare, node.tag.as_ref(), sender) {
        node.attrs.insert("from", sender.to_non_ad());
    }
    wire::encode(&node)
}

fn preview(backlog: &Backlog) -> Node {
    let preview = NodeBuilder::new("offline_preview")
        .attr("count", backlog.total())
        .attr("message", backlog.messages)
        .attr("receipt", backlog.receipts)
        .attr("notification", backlog.notifications)
        .attr("appdata", backlog.appdata)
        .attr("call", backlog.calls)
        .attr("status", 0)
        .build();
    from_server("ib").children([preview]).build()
}

fn from_server(tag: &'static str) -> NodeBuilder {
    NodeBuilder::new(tag).attr("from", wire::SERVER)
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::clock::SystemClock;
    use crate::phone::identity;
    use crate::server::registry::Outgoing;
    use crate::store::Unit;
    use crate::store::queue::{Kind, Stanza};

    /// A late receipt of an earlier copy must not take off what waits for the socket.
    #[tokio::test]
    async fn what_waits_for_the_socket_is_not_sent_yet() {
        let store = Store::open(None, Arc::new(SystemClock), |_| ()).expect("a store");
        let store = Arc::new(store);
        let wait = |unit: &mut Unit<'_>| {
            let to = Address::new(identity::create(unit, None, None)?.phone, 1);
            let node = NodeBuilder::new("message").attr("id", "A").build();
            let stanza = Stanza {
                kind: Kind::Message,
                id: "A",
                subtype: "",
                sender: &Address::primary("155501000009"),
                node: &node,
            };
            queue::push(unit, &to, &stanza)?;
            Ok(to)
        };
        let to = store.run(wait).await.expect("it waits");
        let close = CancellationToken::new();
        let (client, mut outgoing) = Client::new(1, close.clone());
        let delivery = tokio::spawn(run(Arc::clone(&store), to, Arc::clone(&client), false));
        let row = loop {
            match outgoing.recv().await.expect("the delivery goes on") {
                Outgoing::Stanza(_, Some(row)) => break row,
                Outgoing::Stanza(_, None) | Outgoing::Last(_) => {}
            }
        };
        assert!(row > 0);
        assert_eq!(client.sent.load(Ordering::Acquire), 0);
        close.cancel();
        delivery.await.expect("it ends");
        store.close().await;
    }
}
