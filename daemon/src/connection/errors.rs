//! What can go wrong with a session, as far as its caller does something about it.

use std::time::Duration;

use shared::domain::message::FailureCode;

/// A session could not be begun.
#[derive(Debug, thiserror::Error)]
#[error("could not begin a session")]
pub struct ConnectError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

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

/// The address book cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the address book cannot be read")]
pub struct BookError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What came in could not be stored.
#[derive(Debug, thiserror::Error)]
#[error("what came in could not be stored")]
pub struct CommitError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
