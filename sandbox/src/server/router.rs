//! Which part of the network answers which stanza.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tracing::error;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::refusals::{self, StreamEnd};
use super::registry::{Client, Pairing};
use crate::directory::{self, Address};
use crate::error::{Error, Result};
use crate::faults::{Ending, Stored};
use crate::iq::Then;
use crate::network::Network;
use crate::people::{calls, chatstates, presence};
use crate::store::Unit;
use crate::store::queue::{self, Kind};
use crate::{iq, receipts, relay, wire};

/// The most a client may ask of its backlog at once.
const MAX_BATCH: u64 = 1_000;

/// What a connection is.
pub(crate) enum Seat {
    /// It shows a QR code, or one of eight characters.
    Pairing(Pairing),
    /// It is a linked device.
    Device(Address),
    /// Its login was refused; it is about to be closed.
    Refused,
}

/// What comes of a stanza once it is stored: an encoded answer, or nothing to answer.
pub(crate) type Outcome<'a> = BoxFuture<'a, Result<Option<Vec<u8>>>>;

/// Takes the stanzas of one connection, in their order.
pub(crate) struct Router {
    network: Arc<Network>,
    client: Arc<Client>,
    seat: Seat,
    active: AtomicBool,
    /// Whether the client has told its presence, which ends with its connection.
    present: AtomicBool,
}

impl Router {
    /// For one connection.
    pub(crate) fn new(network: Arc<Network>, client: Arc<Client>, seat: Seat) -> Self {
        Self {
            network,
            client,
            seat,
            active: AtomicBool::new(false),
            present: AtomicBool::new(false),
        }
    }

    /// The network the connection belongs to.
    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Takes the connection out of the network.
    pub(crate) async fn leave(&self) {
        match &self.seat {
            Seat::Device(address) => {
                self.network.registry.logout(address, &self.client);
                self.absent(address).await;
            }
            Seat::Pairing(_) => self.network.registry.withdraw(&self.client),
            Seat::Refused => {}
        }
    }

    /// Takes a stanza of those that come in crowds: messages, receipts and acknowledgements. It is in the store's queue
    /// when this returns, and the next one may be taken; `None` for any other stanza.
    ///
    /// What comes of it is to be awaited in the order of the stanzas. It is an encoded answer, or nothing to answer.
    pub(crate) async fn submit(&self, node: &Arc<Node>) -> Result<Option<Outcome<'_>>> {
        let Seat::Device(address) = &self.seat else {
            return Ok(None);
        };
        Ok(match node.tag.as_ref() {
            "message" => Some(self.message(address, node).await?),
            "receipt" => Some(self.receipt(address, node).await?),
            "ack" => self.ack(address, node).await?,
            _ => None,
        })
    }

    /// Takes any other stanza.
    pub(crate) async fn take(&self, node: &Node) -> Result<()> {
        match (&self.seat, node.tag.as_ref()) {
            (_, "iq") => self.iq(node).await,
            (Seat::Device(_), "ib") => {
                self.pull(node);
                Ok(())
            }
            (Seat::Device(_), "notification") => self.reply(&generic_ack(node)),
            (Seat::Device(address), "call") => {
                let (from, node) = (address.clone(), node.clone());
                let take = move |unit: &mut Unit<'_>| calls::take(unit, &from, &node);
                let ack = self.network.store.run(take).await?;
                self.reply(&ack)
            }
            (Seat::Device(address), "presence") => {
                self.present.store(true, Ordering::Release);
                let (from, node, connection) = (address.clone(), node.clone(), self.client.id);
                let take = move |unit: &mut Unit<'_>| presence::take(unit, &from, connection, &node);
                self.network.store.run(take).await
            }
            (Seat::Device(address), "chatstate") => {
                let (from, node, ttl) = (address.clone(), node.clone(), self.network.config.chatstate_ttl);
                let take = move |unit: &mut Unit<'_>| chatstates::take(unit, ttl, &from, &node);
                self.network.store.run(take).await
            }
            _ => Ok(()),
        }
    }

    /// Notes that the client's person is not there on this device any more, and watches nobody from it.
    async fn absent(&self, address: &Address) {
        if !self.present.load(Ordering::Acquire) {
            return;
        }
        let (from, connection) = (address.clone(), self.client.id);
        let gone = move |unit: &mut Unit<'_>| presence::gone(unit, &from, connection);
        match self.network.store.run(gone).await {
            Ok(()) | Err(Error::Stopped) => {}
            Err(cause) => {
                error!(client = self.client.id, cause = %cause.for_log(), "a client's absence is not stored");
            }
        }
    }

    async fn message(&self, address: &Address, node: &Arc<Node>) -> Result<Outcome<'_>> {
        let (from, stanza) = (address.clone(), Arc::clone(node));
        let relay = move |unit: &mut Unit<'_>| relay::message(unit, &from, &stanza);
        let answer = self.network.store.submit(relay).await?;
        let outcome = async move {
            let ack = answer.await?;
            if ack.attrs.get("error").is_some() {
                self.network.stats.refusal();
                return wire::encode(&ack).map(Some);
            }
            self.network.stats.message();
            match self.network.faults.stored(self.client.subject()) {
                Stored::Acknowledge => wire::encode(&ack).map(Some),
                Stored::Withhold => Ok(None),
                Stored::Drop => {
                    self.client.end(Ending::Drop);
                    Ok(None)
                }
            }
        };
        Ok(outcome.boxed())
    }

    async fn receipt(&self, address: &Address, node: &Arc<Node>) -> Result<Outcome<'_>> {
        let (from, node, sent) = (address.clone(), Arc::clone(node), self.sent());
        let take = move |unit: &mut Unit<'_>| receipts::receipt(unit, (&from, sent), &node);
        let answer = self.network.store.submit(take).await?;
        Ok(async move { wire::encode(&answer.await?).map(Some) }.boxed())
    }

    /// Answers a message or a question with an error, as a fault wants it.
    pub(crate) fn refuse(&self, node: &Node, code: u16) -> Result<()> {
        self.network.stats.refusal();
        if node.tag == "iq" {
            return self.reply(&wire::iq_error(node, code, "refused"));
        }
        let mut ack = generic_ack(node);
        ack.attrs.insert("error", code);
        self.reply(&ack)
    }

    /// The client has a stanza of the server's. `None` for an acknowledgement of nothing.
    async fn ack(&self, address: &Address, node: &Node) -> Result<Option<Outcome<'_>>> {
        let (Some(class), Some(id)) = (wire::attr(node, "class"), wire::attr(node, "id")) else {
            return Ok(None);
        };
        let Some(kind) = Kind::parse(&class) else {
            return Ok(None);
        };
        let (to, id, sent) = (address.clone(), id.into_owned(), self.sent());
        // The type of a message is no part of what names it.
        let subtype = match kind {
            Kind::Message | Kind::Call | Kind::Chatstate => String::new(),
            Kind::Receipt | Kind::Notification => wire::attr(node, "type").unwrap_or_default().into_owned(),
        };
        // In groups and on statuses the sender is the participant.
        let sender = wire::attr_jid(node, "participant").or_else(|| wire::attr_jid(node, "to"));
        let done = move |unit: &mut Unit<'_>| {
            let sender = match &sender {
                Some(jid) => {
                    directory::resolve(unit, jid)?.map(|account| Address::new(account.phone, jid.device))
                }
                None => None,
            };
            queue::acked(unit, (&to, sent), (kind, &id, &subtype), sender.as_ref())
        };
        let answer = self.network.store.submit(done).await?;
        Ok(Some(async move { answer.await.map(|()| None) }.boxed()))
    }

    /// The last row of its queue that the client may be speaking of.
    fn sent(&self) -> i64 {
        self.client.sent.load(Ordering::Acquire)
    }

    /// `<ib><offline_batch count/></ib>`: the client wants more of its backlog.
    fn pull(&self, node: &Node) {
        let Some(batch) = node.get_optional_child("offline_batch") else {
            return;
        };
        let count = wire::attr(batch, "count")
            .and_then(|count| count.parse().ok())
            .unwrap_or(0_u64);
        self.client
            .credit
            .fetch_add(count.min(MAX_BATCH), Ordering::AcqRel);
        self.client.pull.notify_one();
    }

    async fn iq(&self, node: &Node) -> Result<()> {
        if matches!(wire::attr(node, "type").as_deref(), Some("result" | "error")) {
            self.client.answered(node);
            return Ok(());
        }
        let answer = match &self.seat {
            Seat::Device(address) => iq::answer(&self.network, address, node).await?,
            Seat::Pairing(pairing) => iq::answer_stranger(&self.network, pairing, node),
            Seat::Refused => iq::answer_refused(node),
        };
        self.reply(&answer.node)?;
        match (&self.seat, answer.then) {
            (Seat::Device(address), Then::Activate) => {
                self.client.set_passive(false);
                self.activate(address);
            }
            (Seat::Device(_), Then::Pause) => self.client.set_passive(true),
            (Seat::Device(_), Then::Leave) => refusals::end(&self.client, StreamEnd::DeviceRemoved),
            _ => {}
        }
        Ok(())
    }

    /// The client is ready for its backlog. Once a connection.
    fn activate(&self, address: &Address) {
        if !self.active.swap(true, Ordering::AcqRel) {
            let store = Arc::clone(&self.network.store);
            let bare = self.network.config.bare_senders;
            let delivery = super::delivery::run(store, address.clone(), Arc::clone(&self.client), bare);
            self.network.tasks.spawn(delivery);
        }
    }

    fn reply(&self, node: &Node) -> Result<()> {
        self.client.send(node)
    }
}

fn generic_ack(node: &Node) -> Node {
    let mut ack = NodeBuilder::new("ack")
        .attr("class", node.tag.as_ref())
        .attr("id", wire::attr(node, "id").unwrap_or_default().as_ref());
    if let Some(to) = wire::attr(node, "to") {
        ack = ack.attr("from", to.as_ref());
    }
    ack.build()
}
