//! The library's events as ours.

use std::sync::Mutex;
use std::time::Duration;

use chrono::SecondsFormat;
use shared::clock::Clock;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use wacore::runtime::Runtime as _;
use wacore::types::events::{
    ConnectFailureReason, Event, EventHandler, EventInterest, EventKind, Receipt, TemporaryBan,
};
use wacore::types::presence::ReceiptType;
use whatsapp_rust::Client;

use super::own_chat::OwnChat;
use super::people;
use super::runtime::SessionRuntime;
use super::stops::{Signal, StreamError};
use crate::connection::{ReceiptKind, SessionEvent};
use crate::stop::{Answer, Course, Stop};

/// How many events wait for the daemon to take them. The library calls without waiting:
/// beyond this, receipts are left out, and anything else ends the session.
pub const CAPACITY: usize = 1_024;

/// How long after an event the library's own presence is surely out.
const PRESENCE_DELAY: Duration = Duration::from_secs(1);

/// For how long a stream error that need not be the connection's end is blamed for one.
const BLAMED: Duration = Duration::from_secs(30);

/// What the session's task must know of what was told.
#[derive(Debug, Default)]
pub struct Told {
    /// The phone has linked the session: the stream's end is followed by a login.
    paired: Notify,
    /// Why the session ends, as far as anything has said so.
    noted: Mutex<Option<Noted>>,
    /// Something has ended the session that the library does not take for its end.
    hang_up: Notify,
}

#[derive(Debug)]
struct Noted {
    stop: Stop,
    at: Instant,
}

impl Told {
    /// Whether the session was linked since this was last asked, or is within `patience`.
    pub async fn take_paired(&self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.paired.notified())
            .await
            .is_ok()
    }

    /// Whether there is no other session until someone asks for it.
    pub fn is_over(&self) -> bool {
        let noted = self.noted.lock().expect("no holder panics");
        noted
            .as_ref()
            .is_some_and(|noted| matches!(noted.stop.answer, Answer::End(..)))
    }

    /// Waits until the connection is to be ended by us.
    pub async fn hung_up(&self) {
        self.hang_up.notified().await;
    }

    /// Why the session has ended. What ended it for good outweighs everything else, and what asks
    /// for a pause of its own a loss; of equals the first is the cause.
    pub fn take_stop(&self) -> Option<Stop> {
        let noted = self.noted.lock().expect("no holder panics").take()?;
        noted.counts(Instant::now()).then_some(noted.stop)
    }

    /// Forgets what was said of a stream after which the session goes on.
    pub fn forget(&self) {
        self.noted.lock().expect("no holder panics").take();
    }

    /// Notes something that ends the session, or may.
    pub fn note(&self, signal: &Signal) {
        if signal.row().hangs_up {
            self.hang_up.notify_one();
        }
        self.note_stop(signal.stop());
    }

    fn note_stop(&self, stop: Stop) {
        let at = Instant::now();
        let mut noted = self.noted.lock().expect("no holder panics");
        let outweighs = noted
            .as_ref()
            .is_some_and(|before| before.counts(at) && weight(&before.stop) >= weight(&stop));
        if !outweighs {
            *noted = Some(Noted { stop, at });
        }
    }
}

impl Noted {
    /// Whether it is to blame for an end at `now`.
    fn counts(&self, now: Instant) -> bool {
        matches!(self.stop.answer, Answer::End(..)) || now - self.at < BLAMED
    }
}

fn weight(stop: &Stop) -> u8 {
    match stop.answer {
        Answer::Return(Course::Lost) => 0,
        Answer::Return(_) => 1,
        Answer::End(..) => 2,
    }
}

/// Takes the library's events, in their order.
pub struct Translator {
    pub client: std::sync::OnceLock<std::sync::Weak<Client>>,
    pub clock: std::sync::Arc<dyn Clock>,
    pub queue: mpsc::Sender<SessionEvent>,
    pub told: std::sync::Arc<Told>,
    /// Cancelled where the queue is full and what came is no receipt.
    pub overflow: CancellationToken,
    pub runtime: SessionRuntime,
    pub own_chat: std::sync::Arc<OwnChat>,
}

/// The kinds that are translated; the library makes no others for us.
const KINDS: [EventKind; 17] = [
    EventKind::PairingQrCode,
    EventKind::PairingQrCodesExhausted,
    EventKind::PairingCodeRefresh,
    EventKind::PairingCodeError,
    EventKind::PairPasskeyRequest,
    EventKind::PairSuccess,
    EventKind::Connected,
    EventKind::SelfPushNameUpdated,
    EventKind::Disconnected,
    EventKind::LoggedOut,
    EventKind::StreamReplaced,
    EventKind::TemporaryBan,
    EventKind::ClientOutdated,
    EventKind::ConnectFailure,
    EventKind::ServerAck,
    EventKind::Receipt,
    EventKind::RawNode,
];

impl EventHandler for Translator {
    fn handle_event(&self, event: std::sync::Arc<Event>) {
        let Some(event) = self.translate(&event) else {
            return;
        };
        match self.queue.try_send(event) {
            Ok(()) | Err(TrySendError::Closed(_)) => {}
            Err(TrySendError::Full(SessionEvent::Receipt { .. })) => {
                warn!("events are not taken in time; a receipt is left out");
            }
            Err(TrySendError::Full(_)) => {
                warn!("events are not taken in time; the session ends");
                self.overflow.cancel();
            }
        }
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(&KINDS)
    }
}

impl Translator {
    fn translate(&self, event: &Event) -> Option<SessionEvent> {
        let event = match event {
            Event::PairingQrCode(qr) => SessionEvent::Qr {
                code: qr.code.clone(),
                valid_for: qr.timeout,
            },
            Event::PairingQrCodesExhausted(_) => SessionEvent::QrExhausted,
            Event::PairingCodeRefresh(_) | Event::PairingCodeError(_) => SessionEvent::PairingCodeVoid,
            Event::PairPasskeyRequest(_) => SessionEvent::PasskeyRequested,
            Event::PairSuccess(_) => {
                self.told.paired.notify_one();
                SessionEvent::Paired
            }
            Event::Connected(_) => {
                self.be_unavailable();
                self.connected()?
            }
            Event::SelfPushNameUpdated(_) => {
                self.be_unavailable();
                return None;
            }
            Event::RawNode(node) => {
                if let Some(signal) = Signal::of_stanza(node.get()) {
                    self.told.note(&signal);
                }
                return None;
            }
            Event::Disconnected(disconnected) => {
                self.told.note(&Signal::Transport(disconnected.reason.clone()));
                return None;
            }
            Event::ConnectFailure(failure) => {
                self.told.note(&Signal::Failure(failure.reason));
                return None;
            }
            Event::LoggedOut(out) => {
                self.told.note(&Signal::Failure(out.reason));
                return None;
            }
            Event::StreamReplaced(_) => {
                self.told.note(&Signal::Stream(StreamError::ConflictReplaced));
                return None;
            }
            Event::ClientOutdated(_) => {
                self.told
                    .note(&Signal::Failure(ConnectFailureReason::ClientOutdated));
                return None;
            }
            Event::TemporaryBan(ban) => {
                self.told.note_stop(self.banned(ban));
                return None;
            }
            Event::ServerAck(ack) if ack.class.as_deref() == Some("message") => SessionEvent::ServerAck {
                whatsapp_id: ack.id.clone(),
                // An error that is no number is one nevertheless.
                error: ack.error.as_deref().map(|error| error.parse().unwrap_or(0)),
                chat: ack.from.as_ref().and_then(people::chat),
            },
            Event::Receipt(receipt) => self.receipt(receipt)?,
            _ => return None,
        };
        Some(event)
    }

    /// Receipts of recipients' devices, and those of the protocol's inside left out. What another
    /// device of the account has is delivered in the chat with oneself alone.
    fn receipt(&self, receipt: &Receipt) -> Option<SessionEvent> {
        let client = self.client.get()?.upgrade()?;
        let source = &receipt.source;
        let is_own = people::is_own(&client, &source.sender);
        let kind = match receipt.r#type {
            // Inactive: it has reached a device whose app is in the background.
            ReceiptType::Delivered | ReceiptType::Inactive => ReceiptKind::Delivered,
            ReceiptType::Sender if is_own => ReceiptKind::Delivered,
            ReceiptType::Read => ReceiptKind::Read,
            ReceiptType::Played => ReceiptKind::Played,
            _ => return None,
        };
        let chat = people::chat(&source.chat)?;
        let group = chat.group().is_some().then_some(chat);
        let whatsapp_ids = match (is_own, &group) {
            (false, _) => receipt.message_ids.clone(),
            (true, None) => self.own_chat.of(&receipt.message_ids),
            (true, Some(_)) => Vec::new(),
        };
        if whatsapp_ids.is_empty() {
            return None;
        }
        let reader = [Some(&source.sender), source.sender_alt.as_ref()];
        Some(SessionEvent::Receipt {
            whatsapp_ids,
            kind,
            at: receipt.timestamp,
            group,
            reader: people::person(reader.into_iter().flatten()),
        })
    }

    fn connected(&self) -> Option<SessionEvent> {
        let client = self.client.get()?.upgrade()?;
        let jids = [client.pn(), client.lid()];
        Some(SessionEvent::Connected {
            account: people::person(jids.iter().flatten()),
            display_name: Some(client.push_name()).filter(|name| !name.is_empty()),
        })
    }

    /// The library says "available" after each login and change of name, which mutes the
    /// notifications of the phone. This takes it back, behind what the library sends.
    fn be_unavailable(&self) {
        let Some(client) = self.client.get().and_then(std::sync::Weak::upgrade) else {
            return;
        };
        let task = async move {
            tokio::time::sleep(PRESENCE_DELAY).await;
            if let Err(error) = client.presence().set_unavailable().await {
                debug!(%error, "presence was not taken back");
            }
        };
        self.runtime.spawn(Box::pin(task)).detach();
    }

    /// A ban that ends. Nothing knocks by itself when it has ended: whether its cause is gone, a
    /// person must say.
    fn banned(&self, ban: &TemporaryBan) -> Stop {
        let stop = Signal::Failure(ConnectFailureReason::TempBanned).stop();
        let until = self.clock.now().checked_add_signed(ban.expire);
        let until = until.map_or_else(String::new, |until| {
            format!(", until {}", until.to_rfc3339_opts(SecondsFormat::Secs, true))
        });
        Stop {
            said: format!("{}{until}: {}", stop.said, ban.code),
            ..stop
        }
    }
}
