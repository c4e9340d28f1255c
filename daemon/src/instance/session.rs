//! One session of an instance, from connecting to its end.

use std::sync::Arc;
use std::time::Duration;

use shared::domain::instance::{Account, Status};
use shared::domain::reason::Reason;
use shared::telemetry::chain;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::Actor;
use super::book::Book;
use super::inbound::Inbound;
use super::link::{Acks, Link};
use super::pairing::Pairing;
use super::passkey;
use super::sorter::Sorter;
use crate::connection::{Connection, Session, SessionEvent};
use crate::stop::{Answer, Stop};

/// How long connecting and logging in may take. An unpaired session shows its first QR
/// code within it.
const CONNECT_DEADLINE: Duration = Duration::from_secs(40);

/// The time between two probes of a connection, and how long nothing at all may come after one. A socket that dies is found dead
/// within their sum. An instance is to be back 30 s after that death, so 4 s are left for the pause and the login that follow.
const PROBE_INTERVAL: Duration = Duration::from_secs(18);
const PROBE_PATIENCE: Duration = Duration::from_secs(8);

/// How long an orderly end may take.
const DISCONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// How long unlinking may take, with the orderly end behind it.
const LOGOUT_DEADLINE: Duration = Duration::from_secs(45);

/// How a session ended.
#[derive(Debug)]
pub enum Ended {
    /// It was asked to.
    Stopped,
    /// The lease is lost.
    Lost,
    /// There is nothing to do until someone asks again.
    For(Status, Reason),
    /// The connection was lost: connect again.
    Dropped(String),
    /// It has ended, and WhatsApp or the session itself says why.
    Told(Stop),
}

impl Ended {
    /// Whether the session's keys are good for nothing any more.
    fn is_logout(&self) -> bool {
        match self {
            Self::For(status, _) => *status == Status::LoggedOut,
            Self::Told(stop) => matches!(stop.answer, Answer::End(Status::LoggedOut, _)),
            Self::Stopped | Self::Lost | Self::Dropped(_) => false,
        }
    }
}

/// A session's end, and when it had been connected.
#[derive(Debug)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// When it was connected, if it was.
    pub connected_at: Option<Instant>,
}

/// A probe that is on its way.
type Probing = AbortOnDropHandle<Result<(), String>>;

/// What comes of the probe that is on its way; `None` for one that panicked. Waits for ever where none is
/// under way. May be broken off and called again.
async fn probed(probing: &mut Option<Probing>) -> Option<Result<(), String>> {
    let Some(probe) = probing else {
        return std::future::pending().await;
    };
    let alive = probe.await;
    *probing = None;
    alive.ok()
}

/// A session that runs.
pub(super) struct Running<'a> {
    pub(super) actor: &'a mut Actor,
    pub(super) connection: Arc<dyn Connection>,
    acks: Acks,
    /// The session has ended, and what was on the wire may be the cause.
    blames_wire: bool,
    connected_at: Option<Instant>,
    pub(super) pairing: Pairing,
}

/// Runs one session of `actor` to its end.
pub async fn run_session(actor: &mut Actor) -> Outcome {
    let acks = Acks::default();
    let (sorter, events_in, mut events) = Sorter::start(acks.clone(), actor.receipts.clone());
    let session = Session {
        instance: actor.id,
        account: actor.observer.account(),
        state: actor.deps.session_state(actor.id, &actor.fence),
        inbound: Arc::new(Inbound::new(actor)),
        book: Arc::new(Book::new(actor.deps.clone(), actor.id, actor.fence.clone())),
        notices: Arc::new(actor.notices.clone()),
        events: events_in,
        receipts_lost: actor.deps.meter.receipts_given_up.clone(),
    };
    let connector = actor.deps.connector.clone();
    let connecting = tokio::select! {
        connecting = tokio::time::timeout(CONNECT_DEADLINE, connector.connect(session)) => connecting,
        () = actor.stop.cancelled() => return Outcome { ended: Ended::Stopped, connected_at: None },
        () = actor.fence.revoked() => return Outcome { ended: Ended::Lost, connected_at: None },
    };
    let connection = match connecting {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            return Outcome {
                ended: Ended::Dropped(chain(&error)),
                connected_at: None,
            };
        }
        Err(_) => {
            return Outcome {
                ended: Ended::Dropped("no connection in time".into()),
                connected_at: None,
            };
        }
    };
    let pairing = Pairing::new(actor.pairing.as_ref());
    let mut running = Running {
        actor,
        connection,
        acks,
        blames_wire: false,
        connected_at: None,
        pairing,
    };
    let ended = running.until_end(&mut events).await;
    running.actor.links.set(running.actor.id, None);
    running.acks.close(running.blames_wire);
    let Running {
        connection,
        connected_at,
        actor,
        ..
    } = running;
    let unlinks = matches!(ended, Ended::Stopped) && actor.unlink.is_cancelled() && connected_at.is_some();
    let in_order = async {
        if unlinks {
            tokio::time::timeout(LOGOUT_DEADLINE, connection.logout()).await
        } else {
            tokio::time::timeout(DISCONNECT_DEADLINE, connection.disconnect())
                .await
                .map(Ok)
        }
    };
    let ended_in_order = tokio::select! {
        biased;
        () = actor.fence.revoked() => None,
        in_order = in_order => Some(in_order),
    };
    drop(events);
    if !actor.fence.is_revoked() {
        sorter.finish().await;
    }
    let is_unlinked = unlinks && matches!(ended_in_order, Some(Ok(Ok(()))));
    match ended_in_order {
        Some(Ok(Ok(()))) => {}
        Some(Ok(Err(error))) => {
            warn!(instance.id = %actor.id, error = %chain(&error), "WhatsApp has not confirmed that the instance is unlinked");
        }
        Some(Err(_)) => {
            warn!(instance.id = %actor.id, "the session did not end in time: dropping it");
            connection.abandon();
        }
        None => connection.abandon(),
    }
    if is_unlinked || ended.is_logout() {
        Box::pin(forget_account(actor)).await;
    }
    Outcome { ended, connected_at }
}

/// The keys of an unlinked session are of no use any more: the next pairing begins anew.
async fn forget_account(actor: &mut Actor) {
    if let Err(error) = actor.deps.session_state(actor.id, &actor.fence).clear().await {
        warn!(instance.id = %actor.id, error = %chain(&error), "the state of an unlinked session could not be cleared");
    }
    Book::new(actor.deps.clone(), actor.id, actor.fence.clone())
        .forget()
        .await;
    actor.observer.set_account(None).await;
}

impl Running<'_> {
    async fn until_end(&mut self, events: &mut mpsc::Receiver<Box<SessionEvent>>) -> Ended {
        let login_deadline = Instant::now() + CONNECT_DEADLINE;
        let mut progressed = false;
        let mut next_probe = tokio::time::interval_at(Instant::now() + PROBE_INTERVAL, PROBE_INTERVAL);
        // A probe may take longer than the interval while other things come.
        next_probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut probing: Option<Probing> = None;
        // Connected instances spend their time here. So what is done now and then is boxed.
        loop {
            tokio::select! {
                biased;
                () = self.actor.fence.revoked() => return Ended::Lost,
                () = self.actor.stop.cancelled() => return Ended::Stopped,
                event = events.recv() => {
                    progressed = true;
                    let Some(event) = event else { return Ended::Dropped("the session ended".into()) };
                    if let Some(ended) = Box::pin(self.handle(*event)).await {
                        return ended;
                    }
                }
                progress = self.pairing.progress() => {
                    if let Some(ended) = Box::pin(self.progressed(progress)).await {
                        return ended;
                    }
                }
                answer = passkey::answered(&mut self.actor.passkey_answers) => {
                    if let Some(ended) = Box::pin(self.passkey_answered(answer)).await {
                        return ended;
                    }
                }
                alive = probed(&mut probing) => match alive {
                    Some(Ok(())) => self.actor.deps.round_trips.note(self.actor.id, self.actor.deps.clock.now()),
                    Some(Err(why)) => return Ended::Dropped(why),
                    None => {}
                },
                _ = next_probe.tick(), if self.connected_at.is_some() && probing.is_none() => {
                    let connection = self.connection.clone();
                    probing = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                        let alive = connection.probe(PROBE_PATIENCE).await;
                        alive.map_err(|error| format!("no round trip: {}", chain(&error)))
                    })));
                }
                () = tokio::time::sleep_until(login_deadline), if !progressed || self.actor.unlink.is_cancelled() => {
                    return Ended::Dropped("no sign of the server in time".into());
                }
            }
        }
    }

    async fn handle(&mut self, event: SessionEvent) -> Option<Ended> {
        match event {
            SessionEvent::Qr { code, valid_for } => self.qr_came(&code, valid_for).await,
            SessionEvent::QrExhausted => self.qr_exhausted(),
            SessionEvent::PairingCodeVoid => self.code_void(),
            SessionEvent::PasskeyRequested { options } => self.passkey_requested(&options).await,
            SessionEvent::PasskeyConfirmation { code, is_known } => {
                self.passkey_confirmation(&code, is_known).await
            }
            SessionEvent::PasskeyFailed { why } => Some(self.passkey_failed(why)),
            SessionEvent::Paired => {
                info!(instance.id = %self.actor.id, "paired");
                self.phone_answered();
                self.written(Status::Connecting).await
            }
            SessionEvent::Connected {
                account,
                display_name,
            } => {
                self.connected(Account {
                    person: account,
                    display_name,
                })
                .await
            }
            SessionEvent::Disconnected { reason, blames_wire } => {
                self.blames_wire = blames_wire;
                Some(Ended::Dropped(reason))
            }
            SessionEvent::Stopped(stop) => {
                self.blames_wire = stop.blames_wire;
                Some(Ended::Told(stop))
            }
            // The sorter's.
            SessionEvent::ServerAck { .. } | SessionEvent::Receipt { .. } => None,
        }
    }

    async fn connected(&mut self, account: Account) -> Option<Ended> {
        let actor = &mut *self.actor;
        self.connected_at.get_or_insert_with(Instant::now);
        if actor.unlink.is_cancelled() {
            // It is logged in to do this, and nothing is sent any more.
            return Some(Ended::Stopped);
        }
        actor.deps.round_trips.note(actor.id, actor.deps.clock.now());
        let link = Link {
            connection: self.connection.clone(),
            subscription: actor.subscription,
            account: account.person.clone(),
            acks: self.acks.clone(),
            number: 0,
        };
        let show = || actor.links.set(actor.id, Some(link));
        let stored =
            actor.observer.set_account(Some(account)).await && actor.observer.set_connected(show).await;
        self.unless(stored)
    }

    pub(super) async fn written(&mut self, status: Status) -> Option<Ended> {
        let stored = self.actor.observer.set(status, None).await;
        self.unless(stored)
    }

    /// A status that cannot be written must not be lived: stop, or connect again.
    pub(super) fn unless(&self, stored: bool) -> Option<Ended> {
        if stored {
            None
        } else if self.actor.fence.is_revoked() {
            Some(Ended::Lost)
        } else {
            Some(Ended::Dropped("the status could not be stored".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::backoff::Backoff;
    use super::*;

    #[test]
    fn a_socket_that_dies_is_replaced_within_half_a_minute() {
        let pause = Backoff::default().after_loss(None, 1.0);
        let login = Duration::from_secs(2);
        let gone = PROBE_INTERVAL + PROBE_PATIENCE + pause + login;
        assert!(gone < Duration::from_secs(30), "{gone:?}");
    }
}
