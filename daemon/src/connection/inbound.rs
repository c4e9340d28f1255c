//! Messages that come in, and where they go.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use shared::domain::content::{Content, Context, Target};
use shared::domain::event::OptionVotes;
use shared::domain::message::Truncation;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;

use super::errors::CommitError;

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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
