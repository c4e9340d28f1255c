//! The task that lets phones act when stanzas arrive for them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::join_all;
use tokio::sync::Notify;
use tracing::{error, warn};

use super::history;
use super::receive::{self, Left};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::store::Unit;

/// The stanzas that a phone takes in one unit of work.
const TURN: u32 = 128;

/// The phones whose turns are under way at once.
const AT_ONCE: usize = 64;

/// The phones that have something to do. As many entries at most as there are phones.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    phones: Mutex<BTreeSet<String>>,
    wake: Notify,
}

impl Agenda {
    /// Puts a phone on the agenda. Never waits.
    pub(crate) fn add(&self, phone: &str) {
        let mut phones = self.phones.lock().unwrap_or_else(PoisonError::into_inner);
        if phones.insert(phone.to_owned()) {
            self.wake.notify_one();
        }
    }

    fn take(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.phones.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Serves the agenda until the network stops.
pub(crate) async fn run(network: Arc<Network>) {
    let (agenda, stop) = (Arc::clone(&network.registry.agenda), network.stop.clone());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = agenda.wake.notified() => {}
        }
        let phones: Vec<String> = agenda.take().into_iter().collect();
        for some in phones.chunks(AT_ONCE) {
            join_all(some.iter().map(|phone| turn(&network, phone))).await;
        }
    }
}

/// Lets a phone take some of what waits for it. If that is not all, the phone is on the agenda again, behind others.
async fn turn(network: &Arc<Network>, phone: &str) {
    let left = match stanzas(network, phone, TURN).await {
        Ok(left) => left,
        // A stanza that cannot be taken must not keep the others: they are taken one by one.
        Err(_) => match one_by_one(network, phone).await {
            Some(left) => left,
            None => return,
        },
    };
    let goes_on = match left {
        Left::More => true,
        Left::History => serve_history(network, phone).await,
        Left::Nothing => false,
    };
    if goes_on && !network.stop.is_cancelled() {
        network.registry.agenda.add(phone);
    }
}

async fn stanzas(network: &Network, phone: &str, most: u32) -> Result<Left> {
    let phone = phone.to_owned();
    let take = move |unit: &mut Unit<'_>| receive::turn(unit, &phone, most);
    network.store.run(take).await
}

/// The same, each stanza as a unit of its own; one that cannot be taken is dropped. `None` where the store fails: what
/// waits stays where it is, and the next wake tries again.
async fn one_by_one(network: &Network, phone: &str) -> Option<Left> {
    for _ in 0..TURN {
        match stanzas(network, phone, 1).await {
            Ok(Left::More) => {}
            Ok(left) => return Some(left),
            Err(Error::Stopped) => return None,
            Err(cause @ (Error::Storage(_) | Error::Commit(_))) => {
                error!(cause = %cause.for_log(), "a phone's stanza was not stored");
                return None;
            }
            Err(cause) => {
                warn!(cause = %cause.for_log(), "a phone drops a stanza that it cannot take");
                let phone = phone.to_owned();
                let skip = move |unit: &mut Unit<'_>| receive::skip(unit, &phone);
                network.store.run(skip).await.ok()?;
            }
        }
    }
    Some(Left::More)
}

/// Sends one new companion its history. `false` if there is none that waits for it.
async fn serve_history(network: &Arc<Network>, phone: &str) -> bool {
    match history::step(network, phone).await {
        Ok(sent) => sent,
        Err(Error::Stopped) => false,
        Err(cause) => {
            error!(cause = %cause.for_log(), "a phone's history was not sent");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use wacore_binary::builder::NodeBuilder;

    use super::*;
    use crate::directory::{self, Address, Family};
    use crate::script::NewPhone;
    use crate::store::queue::{self, Kind, Stanza};
    use crate::{Config, Sandbox};

    #[tokio::test]
    async fn a_stanza_that_cannot_be_taken_keeps_no_other() {
        let config = Config::new("127.0.0.1:0".parse().expect("an address"));
        let sandbox = Sandbox::start(config).await.expect("a sandbox");
        let mut phones = Vec::new();
        for _ in 0..3 {
            phones.push(sandbox.create_phone(NewPhone::default()).await.expect("a phone"));
        }
        let me = &phones[0];
        me.offline().await.expect("it is turned off");
        let numbers: Vec<String> = phones.iter().map(|phone| phone.number().to_owned()).collect();
        let wait = move |unit: &mut Unit<'_>| {
            let me = Address::primary(&numbers[0]);
            for person in &numbers[1..] {
                let sender = Address::primary(person);
                let from = directory::require(unit, person)?.jid(Family::Pn, 0);
                let composing = NodeBuilder::new("composing").build();
                let node = NodeBuilder::new("chatstate")
                    .attr("from", from)
                    .children([composing])
                    .build();
                let stanza = Stanza {
                    kind: Kind::Chatstate,
                    id: person,
                    subtype: "composing",
                    sender: &sender,
                    node: &node,
                };
                queue::push(unit, &me, &stanza)?;
                unit.execute(
                    "INSERT INTO queue (phone, device, kind, stanza_id, subtype, sender, sender_device, payload, queued_at)
                     VALUES (?1, 0, 'message', 'broken', '', ?2, 0, x'ff', 0)",
                    (&me.phone, person),
                )?;
            }
            Ok(())
        };
        sandbox.network.store.run(wait).await.expect("they wait");
        me.online().await.expect("it is turned on");
        let begun = Instant::now();
        while me.typing().await.expect("what it saw").len() < 2
            || sandbox.stats().await.expect("counts").queued > 0
        {
            assert!(
                begun.elapsed() < Duration::from_secs(30),
                "the phone takes what it can"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sandbox.shutdown().await;
    }
}
