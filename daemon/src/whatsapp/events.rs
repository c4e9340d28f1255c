//! The library's events as ours.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::clock::Clock;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use wacore::runtime::Runtime as _;
use wacore::types::events::{ConnectFailureReason, Event, EventHandler, EventInterest, EventKind, Receipt};
use wacore::types::presence::ReceiptType;
use whatsapp_rust::Client;

use super::people;
use super::runtime::SessionRuntime;
use crate::connection::{ReceiptKind, SessionEvent};

/// How many events wait for the daemon to take them. The library calls without waiting:
/// beyond this, receipts are left out, and anything else ends the session.
pub const CAPACITY: usize = 1_024;

/// How long after an event the library's own presence is surely out.
const PRESENCE_DELAY: Duration = Duration::from_secs(1);

/// What the session's task must know of what was told.
#[derive(Debug, Default)]
pub struct Told {
    /// The phone has linked the session: the stream's end is followed by a login.
    paired: Notify,
    /// An event that says that the session is over.
    over: AtomicBool,
    /// Why the stream ended, as far as the library said.
    reason: Mutex<Option<String>>,
}

impl Told {
    /// Whether the session was linked since this was last asked, or is within `patience`.
    pub async fn take_paired(&self, patience: Duration) -> bool {
        tokio::time::timeout(patience, self.paired.notified())
            .await
            .is_ok()
    }

    /// Whether the daemon knows that the session is over.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Why the stream ended.
    pub fn reason(&self) -> String {
        let reason = self.reason.lock().expect("no holder panics").take();
        reason.unwrap_or_else(|| "the connection could not be made or was lost".to_owned())
    }

    fn set_reason(&self, reason: String) {
        *self.reason.lock().expect("no holder panics") = Some(reason);
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
}

/// The kinds that are translated; the library makes no others for us.
const KINDS: [EventKind; 16] = [
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
            Event::Disconnected(disconnected) => {
                self.told.set_reason(disconnected.reason.to_string());
                return None;
            }
            Event::ConnectFailure(failure) => {
                let code = failure.reason;
                self.told
                    .set_reason(format!("WhatsApp refused the login: {code:?}"));
                return None;
            }
            Event::LoggedOut(out) => self.over(logged_out(out.reason)),
            Event::StreamReplaced(_) => self.over(SessionEvent::Replaced),
            Event::TemporaryBan(ban) => {
                let until = self.now().checked_add_signed(ban.expire);
                self.over(SessionEvent::Banned {
                    until,
                    reason: ban.code.to_string(),
                })
            }
            Event::ClientOutdated(_) => self.over(SessionEvent::ClientOutdated),
            Event::ServerAck(ack) if ack.class.as_deref() == Some("message") => SessionEvent::ServerAck {
                whatsapp_id: ack.id.clone(),
                // An error that is no number is one nevertheless.
                error: ack.error.as_deref().map(|error| error.parse().unwrap_or(0)),
            },
            Event::Receipt(receipt) => translate_receipt(receipt)?,
            _ => return None,
        };
        Some(event)
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

    fn over(&self, event: SessionEvent) -> SessionEvent {
        self.told.over.store(true, Ordering::Release);
        event
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

/// A lock of the account by WhatsApp comes as a logout too.
fn logged_out(reason: ConnectFailureReason) -> SessionEvent {
    match reason {
        ConnectFailureReason::AccountLocked => SessionEvent::Banned {
            until: None,
            reason: "WhatsApp has locked the account".to_owned(),
        },
        _ => SessionEvent::LoggedOut {
            reason: "the phone has unlinked this device".to_owned(),
        },
    }
}

/// Receipts of recipients' devices; those of our own devices and of the protocol's inside
/// tell a sender nothing.
fn translate_receipt(receipt: &Receipt) -> Option<SessionEvent> {
    let kind = match receipt.r#type {
        // Inactive: it has reached a device whose app is in the background.
        ReceiptType::Delivered | ReceiptType::Inactive => ReceiptKind::Delivered,
        ReceiptType::Read => ReceiptKind::Read,
        ReceiptType::Played => ReceiptKind::Played,
        _ => return None,
    };
    if receipt.source.is_from_me {
        return None;
    }
    Some(SessionEvent::Receipt {
        whatsapp_ids: receipt.message_ids.clone(),
        kind,
        at: receipt.timestamp,
        is_group: receipt.source.is_group,
    })
}
