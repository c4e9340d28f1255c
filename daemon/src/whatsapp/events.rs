//! The library's events as ours.

use std::time::Duration;

use chrono::SecondsFormat;
use shared::clock::Clock;
use shared::domain::person::Person;
use wacore::appstate::patch_decode::WAPatchName;
use wacore::runtime::Runtime as _;
use wacore::types::events::{
    AppStateSyncFailed, ConnectFailureReason, Event, EventHandler, EventInterest, EventKind, Receipt,
    TemporaryBan,
};
use wacore::types::presence::ReceiptType;
use wacore_binary::NodeRef;
use whatsapp_rust::Client;
use whatsapp_rust::sync_task::MajorSyncTask;

use super::address_book::Contacts;
use super::ending::Ending;
use super::keys_only::KeysOnly;
use super::notices::Notices;
use super::outlet::Outlet;
use super::own_chat::OwnChat;
use super::people;
use super::presence::Presence;
use super::runtime::{SessionRuntime, note_retry};
use super::stops::{Signal, StreamError};
use crate::connection::{ReceiptKind, SessionEvent};
use crate::stop::Stop;

/// After this long the library's own presence has certainly gone out.
const PRESENCE_DELAY: Duration = Duration::from_secs(1);

/// Takes the library's events, in their order.
pub struct Translator {
    pub client: std::sync::OnceLock<std::sync::Weak<Client>>,
    pub clock: std::sync::Arc<dyn Clock>,
    pub outlet: std::sync::Arc<Outlet>,
    pub ending: std::sync::Arc<Ending>,
    pub runtime: SessionRuntime,
    pub own_chat: std::sync::Arc<OwnChat>,
    pub keys_only: std::sync::Arc<KeysOnly>,
    pub contacts: std::sync::Arc<Contacts>,
    pub notices: std::sync::Arc<Notices>,
    pub presence: std::sync::Arc<Presence>,
}

/// The kinds that are translated; the library makes no others for us.
const KINDS: [EventKind; 21] = [
    EventKind::PairingQrCode,
    EventKind::PairingQrCodesExhausted,
    EventKind::PairingCodeRefresh,
    EventKind::PairingCodeError,
    EventKind::PairPasskeyRequest,
    EventKind::PairPasskeyConfirmation,
    EventKind::PairPasskeyError,
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
    EventKind::ContactUpdate,
    EventKind::AppStateSyncFailed,
];

/// Whether a device asks with this stanza to encrypt a message anew.
fn is_retry(node: &NodeRef<'_>) -> bool {
    let kind = node.get_attr("type");
    node.tag.as_ref() == "receipt" && kind.is_some_and(|kind| kind.as_str() == "retry")
}

impl EventHandler for Translator {
    fn handle_event(&self, event: std::sync::Arc<Event>) {
        if let Some(event) = self.translate(&event) {
            self.outlet.tell(event);
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
            Event::PairPasskeyRequest(request) => SessionEvent::PasskeyRequested {
                options: request.request_options_json.clone(),
            },
            Event::PairPasskeyConfirmation(confirmation) => SessionEvent::PasskeyConfirmation {
                code: confirmation.code.clone(),
                is_known: confirmation.skip_handoff_ux,
            },
            // What fails with its connection ends with it.
            Event::PairPasskeyError(error) => SessionEvent::PasskeyFailed {
                why: self.is_connected().then(|| error.error.clone())?,
            },
            Event::PairSuccess(_) => {
                self.ending.note_paired();
                self.notices.note_linked();
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
                    self.ending.note(&signal);
                }
                self.keys_only.note(node.get());
                self.notices.note(node.get(), || self.own());
                // Last, since the next task that is begun is to be the library's.
                if is_retry(node.get()) {
                    note_retry();
                }
                return None;
            }
            Event::ContactUpdate(update) => {
                self.contacts.note(update);
                self.notices.note_saved(update);
                return None;
            }
            Event::AppStateSyncFailed(failed) => {
                self.sync_again(failed);
                return None;
            }
            Event::Disconnected(disconnected) => {
                self.ending.note(&Signal::Transport(disconnected.reason.clone()));
                return None;
            }
            Event::ConnectFailure(failure) => {
                self.ending.note(&Signal::Failure(failure.reason));
                return None;
            }
            // The library makes this event of every conflict; the stanza, which came before, tells which one it was.
            Event::LoggedOut(out) if out.raw.as_ref().is_some_and(|raw| raw.tag == "stream:error") => {
                return None;
            }
            Event::LoggedOut(out) => {
                self.ending.note(&Signal::Failure(out.reason));
                return None;
            }
            Event::StreamReplaced(_) => {
                self.ending.note(&Signal::Stream(StreamError::ConflictReplaced));
                return None;
            }
            Event::ClientOutdated(_) => {
                self.ending
                    .note(&Signal::Failure(ConnectFailureReason::ClientOutdated));
                return None;
            }
            Event::TemporaryBan(ban) => {
                self.ending.note_stop(self.banned(ban));
                return None;
            }
            Event::ServerAck(ack) if ack.class.as_deref() == Some("message") => SessionEvent::ServerAck {
                whatsapp_id: ack.id.clone(),
                // An error that is no number still counts as one.
                error: ack.error.as_deref().map(|error| error.parse().unwrap_or(0)),
                chat: ack.from.as_ref().and_then(people::chat_or_status),
            },
            Event::Receipt(receipt) => self.receipt(receipt)?,
            _ => return None,
        };
        Some(event)
    }

    /// A receipt of a recipient's device; `None` for receipts that are internal to the protocol. That another device
    /// of the account has a message means delivery only in the chat with oneself.
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
        let chat = people::chat_or_status(&source.chat)?;
        let group = chat.is_shared().then_some(chat);
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

    /// The account, by its names that are known.
    fn own(&self) -> Person {
        let client = self.client.get().and_then(std::sync::Weak::upgrade);
        client.map(|client| people::own(&client)).unwrap_or_default()
    }

    fn is_connected(&self) -> bool {
        let client = self.client.get().and_then(std::sync::Weak::upgrade);
        client.is_some_and(|client| client.is_connected())
    }

    fn connected(&self) -> Option<SessionEvent> {
        let client = self.client.get()?.upgrade()?;
        Some(SessionEvent::Connected {
            account: people::own(&client),
            display_name: Some(client.push_name()).filter(|name| !name.is_empty()),
        })
    }

    /// Takes back the presence "available", which the library sends after each login and change of name, and which
    /// mutes the phone's notifications. It goes out after the library's.
    fn be_unavailable(&self) {
        let Some(client) = self.client.get().and_then(std::sync::Weak::upgrade) else {
            return;
        };
        let presence = std::sync::Arc::clone(&self.presence);
        let task = async move {
            tokio::time::sleep(PRESENCE_DELAY).await;
            presence.take_back(&client).await;
        };
        self.runtime.spawn(Box::pin(task)).detach();
    }

    /// Asks for the address book once more where the library has left a change of it out, since it came while another look at
    /// the book was on its way. What it looks at again it looks at behind that one.
    fn sync_again(&self, failed: &AppStateSyncFailed) {
        let name = WAPatchName::CriticalUnblockLow;
        let Some(client) = self.client.get().and_then(std::sync::Weak::upgrade) else {
            return;
        };
        if failed.skipped.iter().any(|skipped| skipped == name.as_str()) {
            let task = MajorSyncTask::AppStateSync {
                name,
                full_sync: false,
            };
            let syncing = async move { client.process_sync_task(task).await };
            self.runtime.spawn(Box::pin(syncing)).detach();
        }
    }

    /// A ban that ends. Nothing connects by itself after its end, since only a person can say whether its cause is
    /// gone.
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
