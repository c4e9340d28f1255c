//! The port to a WhatsApp session: what the daemon needs of one, in types of its own.
//! `whatsapp` is its adapter; nothing else knows the WhatsApp library.

mod errors;
mod events;
mod inbound;

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use shared::domain::address_book::SavedContact;
use shared::domain::content::{Came, Kind, Remote, Said, Whence};
use shared::domain::message::Failure;
use shared::domain::passkey::Credential;
use shared::domain::person::Person;
use shared::domain::phone::PhoneNumber;
use shared::domain::question::{Answer, Ask, Found};
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId};
use shared::session_state::SessionState;
use tokio::sync::mpsc;

pub use self::errors::{AskError, BookError, CommitError, ConnectError, MediaError, PairingError, SendError};
pub use self::events::{ReceiptKind, SessionEvent};
pub use self::inbound::{InboundMessage, InboundSink, Vote};
use crate::meter::Total;
use crate::notice::NoticeSink;
use crate::passkey::PasskeyError;
use crate::whatsapp::Spool;

/// Makes connections to a network.
#[async_trait]
pub trait Connector: Send + Sync + Debug {
    /// Begins a session on stored state: one that is not paired yet shows QR codes. What
    /// happens comes through `events`; incoming messages go to `inbound`.
    async fn connect(&self, session: Session) -> Result<Arc<dyn Connection>, ConnectError>;
}

/// Begins no session.
#[derive(Debug, Clone, Copy)]
pub struct NoConnector;

#[async_trait]
impl Connector for NoConnector {
    async fn connect(&self, _: Session) -> Result<Arc<dyn Connection>, ConnectError> {
        Err(ConnectError("this process connects to nobody".into()))
    }
}

/// How many events of a session wait to be taken. The WhatsApp library does not wait: beyond this, a receipt is left out, and any
/// other event ends the session.
pub const EVENTS_WAITING: usize = 1_024;

/// What a session is made of.
pub struct Session {
    /// The instance.
    pub instance: InstanceId,
    /// The account that it is paired with, by its names that are known; no names where it is not paired.
    pub account: Person,
    /// Its stored session state.
    pub state: Arc<dyn SessionState>,
    /// Where incoming messages are committed.
    pub inbound: Arc<dyn InboundSink>,
    /// Where the phone's address book is kept.
    pub book: Arc<dyn AddressBook>,
    /// Where it tells of groups, contacts, presence and calls.
    pub notices: Arc<dyn NoticeSink>,
    /// Where the session tells what happens, with room for [`EVENTS_WAITING`]. When its end is dropped the session is over. The
    /// events are boxed, since a channel allocates room for many at once.
    pub events: mpsc::Sender<Box<SessionEvent>>,
    /// How many receipts were left out, since there was no room for them.
    pub receipts_lost: Total,
}

impl Debug for Session {
    /// Numbers are not for logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// A running session.
#[async_trait]
pub trait Connection: Send + Sync + Debug {
    /// Writes a message to a person or a group to the wire under its own WhatsApp id. The server's answer
    /// comes later, as [`SessionEvent::ServerAck`].
    async fn send(&self, message: MessageId, to: &Recipient, said: &Said) -> Result<(), SendError>;

    /// The same of a status, for those who see it and for the account's own devices.
    async fn send_status(
        &self,
        message: MessageId,
        said: &Said,
        audience: &Audience,
    ) -> Result<(), SendError> {
        let _ = (message, said, audience);
        Err(SendError::NotConnected)
    }

    /// Finds those who see what the account shows now. It takes longer, the more numbers of the address book are to be looked
    /// up, and ends within its own deadline; what was found out until then is not asked for again. Nothing is on the wire
    /// afterwards.
    async fn audience(&self) -> Result<Audience, SendError> {
        Err(SendError::NotConnected)
    }

    /// Brings a file to WhatsApp, from where messages refer to it. It takes as long as the file is large.
    async fn upload(&self, file: &Spool) -> Result<Remote, SendError> {
        let _ = file;
        Err(SendError::NotConnected)
    }

    /// Gets the file of a message from WhatsApp, onto the disk in this folder or the system's for such files. Where WhatsApp has
    /// lost it, the phone is asked to upload it again. It takes as long as the file is large.
    async fn fetch_media(&self, came: &Came, folder: Option<&Path>) -> Result<FetchedMedia, MediaError> {
        let _ = (came, folder);
        Err(MediaError::NotConnected)
    }

    /// The path at WhatsApp of a file that is to be sent again with a message of this kind: the one that is known, or another one
    /// where the phone was asked to upload it again.
    async fn find_media(&self, remote: &Remote, kind: Kind, whence: &Whence) -> Result<String, MediaError> {
        let _ = (remote, kind, whence);
        Err(MediaError::NotConnected)
    }

    /// Shows those in a chat what the account does there. It is not stored, and nobody acknowledges it.
    async fn show(&self, to: &Recipient, state: ChatState) -> Result<(), SendError>;

    /// The other name of a person, where this session has learnt it. The server is not asked.
    async fn other_name(&self, _name: &Recipient) -> Option<Recipient> {
        None
    }

    /// Whether the account is known to have written to this chat before, or to have heard from it lately. Groups count as
    /// known, and so does everybody where this cannot be told. The server is not asked.
    async fn has_written_to(&self, _to: &Recipient) -> bool {
        true
    }

    /// Does what this side can about a token of trust that WhatsApp misses in a message to `to`.
    async fn refresh_trust(&self, _to: &Recipient) -> Result<(), SendError> {
        Ok(())
    }

    /// Asks WhatsApp why it refused a message to `to` with `error`, or why the message failed here without a known
    /// reason. `None` where the cause is nothing lasting.
    async fn explain(&self, to: &Recipient, error: Option<u32>) -> Result<Option<Failure>, SendError>;

    /// Asks the server for a code that links this session to the phone with this number, once it is entered there.
    /// The session is not paired, and has got a QR code: the server's sign that it is ready.
    async fn pairing_code(&self, phone: &PhoneNumber) -> Result<PairingCode, PairingError>;

    /// Hands WhatsApp the assertion that it wants before it links. The library goes on with the phone then.
    async fn answer_passkey(&self, credential: &Credential) -> Result<(), PasskeyError> {
        let _ = credential;
        Err(PasskeyError::NotConnected)
    }

    /// Tells WhatsApp that the phone shows the same code.
    async fn confirm_passkey(&self) -> Result<(), PasskeyError> {
        Err(PasskeyError::NotConnected)
    }

    /// The members of a group other than the account itself, each with the names that are known; those who see its status
    /// updates, of [`Recipient::Status`].
    async fn group_members(&self, group: &Recipient) -> Result<Vec<Person>, SendError> {
        let _ = group;
        Err(SendError::NotConnected)
    }

    /// Whether those whom a message goes to are so many that keys are agreed upon before the wire. Nothing is on the wire
    /// afterwards.
    async fn are_many(&self, crowd: &Crowd) -> Result<bool, SendError> {
        let _ = crowd;
        Ok(false)
    }

    /// Agrees on keys with those of many who have none of ours, so that a message to them takes no longer on the wire than
    /// another. What was agreed upon is stored, and a later call goes on behind it. Each step has a deadline of its own; nothing
    /// is on the wire afterwards.
    async fn agree_on_keys(&self, crowd: &Crowd) -> Result<(), SendError> {
        let _ = crowd;
        Ok(())
    }

    /// Asks WhatsApp whether this person is there, and how it spells the number. It ends within its own deadline, and
    /// nothing is on the wire afterwards.
    async fn look_up(&self, name: &Recipient) -> Result<Found, SendError> {
        let _ = name;
        Ok(Found::Unsaid)
    }

    /// Tells the senders of messages in a chat that these were read. It ends within its own deadline.
    async fn mark_read(&self, chat: &Recipient, messages: &[Unread]) -> Result<(), AskError> {
        let _ = (chat, messages);
        Err(AskError::NotConnected)
    }

    /// Asks WhatsApp something, or has it change something. It ends within its own deadline.
    async fn ask(&self, ask: &Ask) -> Result<Answer, AskError>;

    /// A round trip to the server. An error where nothing at all comes from it for as long as `patience`. While other things come, the
    /// answer may take longer, up to a deadline of the connection's own.
    async fn probe(&self, patience: Duration) -> Result<(), SendError>;

    /// Ends the session in order: its state is stored, the socket closed.
    async fn disconnect(&self);

    /// Unlinks this session from its phone and ends it in order. `Ok` where WhatsApp has confirmed it: the stored
    /// state is of no use from then on. After an error the session may be unlinked all the same; the next one finds
    /// out.
    async fn logout(&self) -> Result<(), SendError>;

    /// Drops the session at once and stores nothing more.
    fn abandon(&self);
}

/// Those whom one message goes to, who may be many.
#[derive(Debug, Clone)]
pub enum Crowd {
    /// The members of a group.
    Group(Recipient),
    /// Those who see a status.
    Audience(Audience),
}

/// Those who see a status.
#[derive(Clone, PartialEq, Eq)]
pub struct Audience {
    /// They, each once and by LID, without the account itself.
    pub people: Vec<Person>,
    /// Whom the account's owner lets see statuses, by which they were found.
    pub chosen: Chosen,
}

/// Numbers stay out of logs.
impl Debug for Audience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Audience")
            .field("people", &self.people.len())
            .field("chosen", &self.chosen)
            .finish()
    }
}

/// Whom an account's owner lets see its statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// All contacts.
    Contacts,
    /// All contacts but some.
    Except,
    /// Some people alone.
    Only,
}

/// What an account does in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatState {
    /// It types.
    Typing,
    /// It does not any longer.
    Paused,
}

/// A file that was got from WhatsApp.
#[derive(Debug)]
pub struct FetchedMedia {
    /// Its bytes, which are those that its message speaks of.
    pub spool: Spool,
    /// Its path at WhatsApp, where that is another one by now.
    pub moved_to: Option<String>,
}

/// A code to enter on a phone.
#[derive(Clone, PartialEq, Eq)]
pub struct PairingCode {
    /// The code: a secret.
    pub code: String,
    /// For how long it can be entered.
    pub valid_for: Duration,
}

/// Codes stay out of logs.
impl Debug for PairingCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PairingCode")
            .field("valid_for", &self.valid_for)
            .finish_non_exhaustive()
    }
}

/// A message that came in, for its sender to be told that it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Unread {
    /// Its WhatsApp id.
    pub id: String,
    /// Who sent it, by the name by which it came.
    pub from: Recipient,
}

/// Ids that others chose stay out of logs.
impl Debug for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unread").finish_non_exhaustive()
    }
}

/// Keeps the phone's address book.
#[async_trait]
pub trait AddressBook: Send + Sync + Debug {
    /// Stores contacts beside those that are there, or `is_whole` in place of them. What fails comes again with the next
    /// synchronisation; a contact that comes twice is stored once.
    async fn save(&self, contacts: &[SavedContact], is_whole: bool) -> Result<(), CommitError>;

    /// All who are in it, by the names that it gives.
    async fn people(&self) -> Result<Vec<Person>, BookError>;
}
