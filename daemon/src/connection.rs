//! The port to a WhatsApp session: what the daemon needs of one, in types of its own.
//! `whatsapp` is its adapter; nothing else knows the WhatsApp library.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use shared::domain::address_book::SavedContact;
use shared::domain::content::{Came, Content, Context, Kind, Remote, Said, Target, Whence};
use shared::domain::event::OptionVotes;
use shared::domain::message::{Failure, FailureCode, Truncation};
use shared::domain::passkey::Credential;
use shared::domain::person::Person;
use shared::domain::phone::PhoneNumber;
use shared::domain::question::{Answer, Ask, Found};
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId};
use shared::session_state::SessionState;
use tokio::sync::mpsc;

use crate::notice::NoticeSink;
use crate::passkey::PasskeyError;
use crate::stop::Stop;
use crate::whatsapp::Spool;

/// Makes connections to a network.
#[async_trait]
pub trait Connector: Send + Sync + Debug {
    /// Begins a session on stored state: one that is not paired yet shows QR codes. What
    /// happens comes through `events`; incoming messages go to `inbound`.
    async fn connect(&self, session: Session) -> Result<Arc<dyn Connection>, ConnectError>;
}

/// What a session is made of.
#[derive(Debug)]
pub struct Session {
    /// The instance.
    pub instance: InstanceId,
    /// Its stored session state.
    pub state: Arc<dyn SessionState>,
    /// Where incoming messages are committed.
    pub inbound: Arc<dyn InboundSink>,
    /// Where the phone's address book is kept.
    pub book: Arc<dyn AddressBook>,
    /// Where it tells of groups, contacts, presence and calls.
    pub notices: Arc<dyn NoticeSink>,
    /// Where the session tells what happens. When its end is dropped the session is over.
    pub events: mpsc::Sender<SessionEvent>,
}

/// A session could not be begun.
#[derive(Debug, thiserror::Error)]
#[error("could not begin a session")]
pub struct ConnectError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

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

    /// A round trip to the server.
    async fn probe(&self, deadline: Duration) -> Result<(), SendError>;

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

/// Why something did not go out.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The session is not connected (any more), and nothing was begun: wait for the next.
    #[error("the session is not connected")]
    NotConnected,
    /// The session's connection ended on the way.
    #[error("the connection ended on the way")]
    Interrupted {
        /// Whether it may be on the wire.
        may_be_out: bool,
    },
    /// The session state could not be read or written: try again.
    #[error("the session state could not be read or written")]
    State(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// WhatsApp asks for fewer requests of this account.
    #[error("WhatsApp asks for fewer requests")]
    Throttled {
        /// For how long it asks to be left alone, where it says so.
        after: Option<Duration>,
        /// Its answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// WhatsApp's server cannot do it now, for anyone.
    #[error("WhatsApp cannot do it now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// WhatsApp or the library did not do it, for an unknown reason or one of this chat. Trying again may help.
    #[error("the message could not be sent now")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It can never be sent.
    #[error("the message can never be sent: {0}")]
    Refused(FailureCode),
    /// No answer within the deadline: it may be on the wire.
    #[error("no answer in time")]
    Timeout,
}

/// A file that was got from WhatsApp.
#[derive(Debug)]
pub struct FetchedMedia {
    /// Its bytes, which are those that its message speaks of.
    pub spool: Spool,
    /// Its path at WhatsApp, where that is another one by now.
    pub moved_to: Option<String>,
}

/// Why a file is not to be had from WhatsApp.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The session is not connected (any more).
    #[error("the session is not connected")]
    NotConnected,
    /// WhatsApp has lost it, and the phone does not have it either.
    #[error("neither WhatsApp nor the phone has the file any more")]
    Gone,
    /// It is larger than what is fetched ([`MAX_UPLOAD`](shared::domain::upload::MAX_UPLOAD)).
    #[error("the file is larger than what is fetched")]
    TooLarge,
    /// It may be to be had later.
    #[error("the file is not to be had now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The session is not connected (any more), and nothing was begun.
    #[error("the session is not connected")]
    NotConnected,
    /// The connection ended, or the time was over, before the answer came: it may have been done.
    #[error("the connection ended, or the time was over, before the answer came")]
    InDoubt,
    /// WhatsApp asks for fewer requests of this account. Nothing was done.
    #[error("WhatsApp asks for fewer requests")]
    Throttled {
        /// For how long it asks to be left alone, where it says so.
        after: Option<Duration>,
        /// Its answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The person whom it is about is not on WhatsApp. Nothing was done.
    #[error("the person is not on WhatsApp")]
    NotOnWhatsapp,
    /// There is no such group. Nothing was done.
    #[error("there is no such group")]
    NoGroup,
    /// The account is not in the group. Nothing was done.
    #[error("the account is not in the group")]
    NotAMember,
    /// The group's admins alone may do it, and the account is none. Nothing was done.
    #[error("the account is no admin of the group")]
    NotAnAdmin,
    /// The link leads to no group, or not any more. Nothing was done.
    #[error("the link leads to no group")]
    NoInvite,
    /// It was so already. Nothing was done.
    #[error("it was so already")]
    Already,
    /// What was given is no picture that we can read. Nothing was done.
    #[error("it is no picture")]
    NotAnImage,
    /// WhatsApp said no. Nothing was done.
    #[error("WhatsApp said no")]
    Refused {
        /// Its code, where it gave one.
        code: Option<u16>,
        /// Its answer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// WhatsApp, or the session's store, cannot do it now. Nothing was done.
    #[error("it cannot be done now")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
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

/// Why there is no pairing code.
#[derive(Debug, thiserror::Error)]
pub enum PairingError {
    /// The session is not connected (any more).
    #[error("the session is not connected")]
    NotConnected,
    /// WhatsApp says that there were too many requests.
    #[error("WhatsApp allows no more pairing codes for now")]
    Throttled(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// WhatsApp does not give one for this number, or the library does not ask for it.
    #[error("WhatsApp gives no pairing code")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No answer in time.
    #[error("no answer to the request for a pairing code in time")]
    Timeout,
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

/// What a session tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionEvent {
    /// A QR code to scan, valid for a while.
    Qr {
        /// The code's text: a secret.
        code: String,
        /// For how long it can be scanned.
        valid_for: Duration,
    },
    /// The server gives no more QR codes.
    QrExhausted,
    /// The pairing code does not work any more.
    PairingCodeVoid,
    /// WhatsApp wants an assertion by a passkey of the account's owner.
    PasskeyRequested {
        /// Its request options, in JSON.
        options: String,
    },
    /// The phone has answered to the assertion.
    PasskeyConfirmation {
        /// The code that the phone shows too.
        code: String,
        /// Whether nobody has to compare it: the phone knows this session from before.
        is_known: bool,
    },
    /// Linking with a passkey has failed.
    PasskeyFailed {
        /// Why, for people.
        why: String,
    },
    /// The phone has linked this session; it comes back and logs in by itself.
    Paired,
    /// Logged in.
    Connected {
        /// The account's number and LID.
        account: Person,
        /// The name that it shows others.
        display_name: Option<String>,
    },
    /// The connection was lost, as connections are; this session is over.
    Disconnected {
        /// Why, for people.
        reason: String,
        /// Whether what was on the wire may be the cause: nothing else is known to be.
        blames_wire: bool,
    },
    /// WhatsApp has ended this session or refused it, and said why; it is over.
    Stopped(Stop),
    /// The server has taken a message, or refused it.
    ServerAck {
        /// The message's WhatsApp id.
        whatsapp_id: String,
        /// The server's error, where it refused.
        error: Option<u32>,
        /// The chat, where the server names one.
        chat: Option<Recipient>,
    },
    /// A recipient's device tells what it did with messages.
    Receipt {
        /// The messages' WhatsApp ids. This session sent them, or another device of the account did.
        whatsapp_ids: Vec<String>,
        /// What it tells.
        kind: ReceiptKind,
        /// When, as WhatsApp says, in whole seconds.
        at: DateTime<Utc>,
        /// The group, where the chat is one, or that of status updates: there a receipt stands for one of many.
        group: Option<Recipient>,
        /// Whose device it is, by the names that the receipt gives.
        reader: Person,
    },
}

/// What a receipt tells of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceiptKind {
    /// It has reached the device.
    Delivered,
    /// Its person has seen it.
    Read,
    /// Its person has played it.
    Played,
}

/// A message that came in, decrypted.
#[derive(Clone, PartialEq)]
pub struct InboundMessage {
    /// The message's WhatsApp id, unique within chat and sender.
    pub whatsapp_id: String,
    /// The chat it came in.
    pub chat: Recipient,
    /// Who sent it, as the stanza names them. That is the same at every delivery, whatever was learnt of the sender
    /// in between.
    pub sender: String,
    /// Who sent it, with both names where they are known.
    pub from: Person,
    /// The other side of a chat with a person, with both names where they are known; nobody
    /// in a group.
    pub with: Person,
    /// The name that the sender shows others.
    pub push_name: Option<String>,
    /// Whether the account itself sent it, from another of its devices.
    pub from_me: bool,
    /// What it says.
    pub content: Content,
    /// The vote that it is, opened; then it is no message that somebody received, and its content is unknown.
    pub vote: Option<Vote>,
    /// What stands beside that. Of a message that it quotes [`Quoted::id`](shared::domain::content::Quoted::id) is not known
    /// yet.
    pub context: Context,
    /// The chat of the message that it quotes, where that is another chat.
    pub quoted_in: Option<Recipient>,
    /// Why its content is not whole, where it is not.
    pub truncated: Option<Truncation>,
    /// When WhatsApp says it was sent, in whole seconds.
    pub at: DateTime<Utc>,
    /// When it came to us. That is the same at every delivery until it is committed, and no two messages of an
    /// instance have the same microsecond.
    pub received_at: DateTime<Utc>,
}

impl InboundMessage {
    /// Whether it only says something about another message, or is a vote.
    pub const fn is_about_another(&self) -> bool {
        self.vote.is_some() || self.content.kind().is_about_another()
    }
}

/// A vote on a poll, which is the last one of its voter.
#[derive(Clone, PartialEq)]
pub struct Vote {
    /// The poll.
    pub poll: Target,
    /// What was chosen, in the poll's order.
    pub options: Vec<String>,
    /// How the poll stands with it.
    pub tally: Vec<OptionVotes>,
}

/// Content and numbers stay out of logs.
impl Debug for InboundMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InboundMessage")
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

/// Takes incoming messages. WhatsApp's acknowledgement is held back until `commit` answers. A message that was not
/// committed comes again, so `commit` must be idempotent.
#[async_trait]
pub trait InboundSink: Send + Sync + Debug {
    /// Stores the messages. Where it fails, all of them come again.
    async fn commit(&self, batch: &[InboundMessage]) -> Result<(), CommitError>;
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

/// The address book cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the address book cannot be read")]
pub struct BookError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What came in could not be stored.
#[derive(Debug, thiserror::Error)]
#[error("what came in could not be stored")]
pub struct CommitError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
