//! The task that lets phones act when stanzas arrive for them.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use rusqlite::ErrorCode;
use tokio::sync::Notify;
use tracing::{error, warn};

use super::history;
use super::receive::{self, Left};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::store::{Unit, queue};

/// The stanzas that a phone takes in one unit of work.
const TURN: u32 = 128;

/// The phones whose turns are under way at once.
const AT_ONCE: usize = 64;

/// How long a phone waits that the store has failed. It doubles each time that this goes on, to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The phones that have something to do, and those that the store failed the last time. As many entries at most as there are
/// phones.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    phones: Mutex<BTreeSet<String>>,
    /// How long each phone waits when the store fails it again.
    pauses: Mutex<HashMap<String, Duration>>,
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

    /// The store has failed a phone. Answers how long that waits.
    fn failed(&self, phone: &str) -> Duration {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let next = pauses.entry(phone.to_owned()).or_insert(PAUSE);
        let pause = *next;
        *next = LONGEST_PAUSE.min(pause * 2);
        pause
    }

    /// The store serves a phone again.
    fn served(&self, phone: &str) {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.remove(phone);
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

/// Lets a phone take some of what waits for it. If that is not all, the phone is on the agenda again, behind others. Where the
/// store fails, what waits stays where it is, and the phone is on the agenda again after a pause.
async fn turn(network: &Arc<Network>, phone: &str) {
    let agenda = &network.registry.agenda;
    match all(network, phone).await {
        Ok(has_more) => {
            agenda.served(phone);
            if has_more && !network.stop.is_cancelled() {
                agenda.add(phone);
            }
        }
        Err(Error::Stopped) => {}
        Err(cause) => {
            let pause = agenda.failed(phone);
            error!(
                %phone,
                cause = %cause.for_log(),
                pause_s = pause.as_secs(),
                "the store fails a phone, which tries again"
            );
            add_later(network, phone, pause);
        }
    }
}

/// Puts a phone on the agenda after a pause.
fn add_later(network: &Arc<Network>, phone: &str, pause: Duration) {
    let (one, phone) = (Arc::clone(network), phone.to_owned());
    network.tasks.spawn(async move {
        tokio::select! {
            () = one.stop.cancelled() => {}
            () = tokio::time::sleep(pause) => one.registry.agenda.add(&phone),
        }
    });
}

/// Whether the phone has more to do than it did.
async fn all(network: &Arc<Network>, phone: &str) -> Result<bool> {
    let left = match stanzas(network, phone).await {
        Ok(left) => left,
        Err(Error::Stopped) => return Err(Error::Stopped),
        // A stanza that cannot be taken must not keep the others: they are taken one by one.
        Err(_) => one_by_one(network, phone).await?,
    };
    match left {
        Left::More => Ok(true),
        Left::History => serve_history(network, phone).await,
        Left::Nothing => Ok(false),
    }
}

async fn stanzas(network: &Network, phone: &str) -> Result<Left> {
    let phone = phone.to_owned();
    let take = move |unit: &mut Unit<'_>| receive::turn(unit, &phone, TURN);
    network.store.run(take).await
}

/// Takes stanzas each as a unit of its own; one that cannot be taken is dropped. An error where the store fails, which says
/// nothing of a stanza.
async fn one_by_one(network: &Network, phone: &str) -> Result<Left> {
    for _ in 0..TURN {
        let one = phone.to_owned();
        let first = network.store.run(move |unit| receive::first(unit, &one)).await?;
        let Some(first) = first else {
            return stanzas(network, phone).await;
        };
        let (one, seq) = (phone.to_owned(), first.seq);
        match network
            .store
            .run(move |unit| receive::take(unit, &one, seq))
            .await
        {
            Ok(()) => {}
            Err(cause) if is_of_store(&cause) => return Err(cause),
            Err(cause) => {
                warn!(
                    %phone,
                    stanza.id = %first.id,
                    kind = %first.kind,
                    cause = %cause.for_log(),
                    "a phone drops a stanza that it cannot take"
                );
                network.store.run(move |unit| queue::remove(unit, seq)).await?;
            }
        }
    }
    Ok(Left::More)
}

/// Whether the store failed, whatever it was to do. Else it refused what it was to do: that fails each time.
fn is_of_store(error: &Error) -> bool {
    match error {
        Error::Commit(_) | Error::Stopped => true,
        Error::Storage(rusqlite::Error::SqliteFailure(cause, _)) => matches!(
            cause.code,
            ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::ReadOnly
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::OutOfMemory
                | ErrorCode::CannotOpen
        ),
        _ => false,
    }
}

/// Sends one new companion its history. `false` if there is none that waits for it, or that can be sent.
async fn serve_history(network: &Arc<Network>, phone: &str) -> Result<bool> {
    match history::step(network, phone).await {
        Err(cause) if !is_of_store(&cause) => {
            error!(%phone, cause = %cause.for_log(), "a phone's history was not sent");
            Ok(false)
        }
        sent => sent,
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

    /// Lets `person` be seen typing by `me`.
    fn composes(unit: &mut Unit<'_>, me: &Address, person: &str) -> Result<()> {
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
        queue::push(unit, me, &stanza)
    }

    #[tokio::test]
    async fn a_phone_that_the_store_fails_tries_again_by_itself() {
        let config = Config::new("127.0.0.1:0".parse().expect("an address"));
        let sandbox = Sandbox::start(config).await.expect("a sandbox");
        let me = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
        let other = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
        let network = &sandbox.network;
        let before = network.tasks.len();
        let (to, from) = (Address::primary(me.number()), other.number().to_owned());
        let fail = move |unit: &mut Unit<'_>| {
            // A table that had a row of the last number is full, like a disk.
            for statement in [
                "CREATE TABLE room (number INTEGER PRIMARY KEY AUTOINCREMENT)",
                "INSERT INTO room (number) VALUES (9223372036854775807)",
                "CREATE TRIGGER no_room BEFORE DELETE ON queue BEGIN INSERT INTO room (number) VALUES (NULL); END",
            ] {
                unit.execute(statement, [])?;
            }
            composes(unit, &to, &from)
        };
        network.store.run(fail).await.expect("it waits");
        let begun = Instant::now();
        while network.tasks.len() == before {
            assert!(begun.elapsed() < Duration::from_secs(30), "the phone pauses");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mend = |unit: &mut Unit<'_>| {
            unit.execute("DROP TRIGGER no_room", [])?;
            Ok(())
        };
        // It may share its commit with what fails.
        while network.store.run(mend).await.is_err() {
            assert!(begun.elapsed() < Duration::from_mins(1), "it is mended");
        }
        while me.typing().await.expect("what it saw").is_empty() {
            assert!(
                begun.elapsed() < Duration::from_mins(1),
                "the phone takes what waits"
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sandbox.shutdown().await;
    }

    #[test]
    fn a_phone_that_the_store_fails_again_waits_longer() {
        let agenda = Agenda::default();
        let pauses = [1, 2, 4, 8, 16, 30, 30].map(Duration::from_secs);
        assert_eq!(pauses.map(|_| agenda.failed("one")), pauses);
        assert_eq!(agenda.failed("another"), PAUSE);
        agenda.served("one");
        assert_eq!(agenda.failed("one"), PAUSE);
    }

    /// It would be tried for ever.
    #[tokio::test]
    async fn a_stanza_that_the_store_refuses_is_dropped() {
        let config = Config::new("127.0.0.1:0".parse().expect("an address"));
        let sandbox = Sandbox::start(config).await.expect("a sandbox");
        let me = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
        let other = sandbox.create_phone(NewPhone::default()).await.expect("a phone");
        let (to, from) = (Address::primary(me.number()), other.number().to_owned());
        let refuse = move |unit: &mut Unit<'_>| {
            unit.execute(
                "CREATE TRIGGER refuse BEFORE INSERT ON typing BEGIN SELECT RAISE(ABORT, 'refused'); END",
                [],
            )?;
            composes(unit, &to, &from)
        };
        sandbox.network.store.run(refuse).await.expect("it waits");
        let begun = Instant::now();
        while sandbox.stats().await.expect("counts").queued > 0 {
            assert!(begun.elapsed() < Duration::from_secs(30), "it is dropped");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(me.typing().await.expect("what it saw").is_empty());
        sandbox.shutdown().await;
    }

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
                composes(unit, &me, person)?;
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
