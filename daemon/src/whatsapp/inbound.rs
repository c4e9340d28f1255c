//! Incoming messages on their way to the sink, with WhatsApp's acknowledgement held back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use shared::clock::Clock;
use shared::domain::content::{Content, Context};
use shared::domain::message::Truncation;
use shared::domain::person::Person;
use shared::storage::StorageError;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use wacore::types::events::InboundMessage as LibraryMessage;
use wacore_binary::Jid;
use whatsapp_rust::{Client, InboundDurabilityHook};

use super::following::Following;
use super::polls::{Cast, Polls, is_vote};
use super::presence::Presence;
use super::runtime::SessionRuntime;
use super::{content, people};
use crate::connection::{InboundMessage, InboundSink};
use crate::store::{SessionStore, is_oversize};

/// Commits what the library has decrypted and buffered.
pub struct Inbound {
    sink: Arc<dyn InboundSink>,
    store: Arc<SessionStore>,
    polls: Polls,
    clock: Arc<dyn Clock>,
    /// Cancelled when a commit failed. The server sends an unacknowledged message again only at the next login, so
    /// the session ends to let that come soon.
    failed: CancellationToken,
    followed: Followed,
    /// How many messages of this session were left out, since their chat has no name here.
    left_out: AtomicU64,
}

/// What those who write to the account are followed by.
pub struct Followed {
    pub following: Arc<Following>,
    pub presence: Arc<Presence>,
    pub runtime: SessionRuntime,
}

impl Followed {
    /// Notes who has written, and follows them while the account is available.
    fn meet(&self, client: &Arc<Client>, batch: &[LibraryMessage]) {
        for message in batch {
            let source = &message.info.source;
            if !source.is_group {
                self.following.meet(client, &source.chat);
            }
        }
        if self.presence.is_available() {
            self.following.follow(client, &self.runtime);
        }
    }
}

impl Inbound {
    pub fn new(
        sink: Arc<dyn InboundSink>,
        store: Arc<SessionStore>,
        polls: Polls,
        clock: Arc<dyn Clock>,
        failed: CancellationToken,
        followed: Followed,
    ) -> Self {
        Self {
            sink,
            store,
            polls,
            clock,
            failed,
            followed,
            left_out: AtomicU64::new(0),
        }
    }

    /// Logs that a message of this chat is left out, where the chat is a person, a group or of an unknown kind. The
    /// line has neither content nor numbers.
    fn leave_out(&self, chat: &Jid) {
        if people::is_no_conversation(chat) {
            return;
        }
        let left_out = self.left_out.fetch_add(1, Ordering::Relaxed) + 1;
        warn!(server = ?chat.server, left_out, "a message came in a chat that has no name here, and is told to nobody");
    }

    /// Lets so many messages come again that could not be committed.
    fn come_again(
        &self,
        error: impl std::error::Error + Send + Sync + 'static,
        count: usize,
    ) -> anyhow::Error {
        warn!(%error, count, "incoming messages were not committed; they will come again");
        self.failed.cancel();
        error.into()
    }

    /// A message in our types; `None` for what no one is told of. It fails where a poll can be neither read nor stored now:
    /// then the message is to come again.
    async fn translate(
        &self,
        client: &Client,
        message: &LibraryMessage,
    ) -> Result<Option<InboundMessage>, StorageError> {
        let info = &message.info;
        let source = &info.source;
        // A message too large to buffer comes back as a stub with text alone. Other content is left out here already, and
        // so is what stands beside it: both deliveries tell the same.
        let Some(content) = content::read(&message.message) else {
            return Ok(None);
        };
        let (mut content, truncated) = match content {
            text @ (Content::Text(_) | Content::Edit(_)) => (text, None),
            _ if content::is_cut(&message.message, is_oversize) => {
                (Content::Unknown, Some(Truncation::TooLarge))
            }
            content => (content, None),
        };
        let (beside, quoted_in) = if content::is_cut(&message.message, is_oversize) {
            (Context::default(), None)
        } else {
            content::context::read(client, &message.message).await
        };
        let sender = [Some(&source.sender), source.sender_alt.as_ref()];
        let mut from = people::person(sender.into_iter().flatten());
        if is_vote(&message.message) {
            // Whoever votes twice may do so under either name.
            complete(client, &mut from, &source.sender).await;
        }
        let own = [client.pn(), client.lid()];
        let own = people::person(own.iter().flatten());
        if !content::seen_from_here(&mut content, info, &own, &from) {
            debug!("somebody changes a message who may not: nobody is told");
            return Ok(None);
        }
        let with = if source.is_group {
            Person::default()
        } else if source.is_from_me {
            other_side(client, message).await
        } else {
            from.clone()
        };
        let (buffered, device) = (source.chat.to_string(), source.sender.to_string());
        let received_at = self.store.received_at(&buffered, &device, &info.id);
        let Some(chat) = people::chat_or_other_name(&source.chat, &with) else {
            self.leave_out(&source.chat);
            return Ok(None);
        };
        let vote = match self.polls.count(message, &from, &own).await? {
            Some(Cast::Counts(vote)) => Some(vote),
            Some(Cast::Void) => return Ok(None),
            Some(Cast::Unreadable) | None => None,
        };
        // One that is larger than what is told no app has made.
        if let Content::Poll(poll) = &content
            && !content.clone().shorten()
        {
            self.polls.keep_received(message, &poll.poll, &from).await?;
        }
        Ok(Some(InboundMessage {
            whatsapp_id: info.id.clone(),
            chat,
            sender: source.sender.to_non_ad().to_string(),
            from,
            with,
            push_name: Some(info.push_name.clone()).filter(|name| !name.is_empty()),
            from_me: source.is_from_me,
            content,
            vote,
            context: beside,
            quoted_in,
            truncated,
            at: info.timestamp,
            // The library buffers before it asks for the commit.
            received_at: received_at.unwrap_or_else(|| self.clock.now()),
        }))
    }
}

/// The person to whom another device of the account wrote, with each known name.
async fn other_side(client: &Client, message: &LibraryMessage) -> Person {
    let info = &message.info;
    let source = &info.source;
    let named = [
        Some(&source.chat),
        source.recipient_alt.as_ref(),
        info.peer_recipient_pn.as_ref(),
    ];
    let mut person = people::person(named.into_iter().flatten());
    complete(client, &mut person, &source.chat).await;
    person
}

/// Adds the other name of a person whom `jid` names, where the library knows it.
async fn complete(client: &Client, person: &mut Person, jid: &Jid) {
    if person.phone.is_some() && person.lid.is_some() {
        return;
    }
    // An unknown name is no reason to hold a message up.
    if let Ok(Some(known)) = client.get_lid_pn_entry(&jid.to_non_ad()).await {
        person.phone.get_or_insert_with(|| known.phone_number.to_string());
        person.lid.get_or_insert_with(|| known.lid.to_string());
    }
}

#[async_trait]
impl InboundDurabilityHook for Inbound {
    async fn on_messages(&self, client: Arc<Client>, batch: &[LibraryMessage]) -> anyhow::Result<()> {
        let mut messages = Vec::with_capacity(batch.len());
        for message in batch {
            match self.translate(&client, message).await {
                Ok(message) => messages.extend(message),
                Err(error) => return Err(self.come_again(error, batch.len())),
            }
        }
        if messages.is_empty() {
            return Ok(());
        }
        match self.sink.commit(&messages).await {
            Ok(()) => {
                self.followed.meet(&client, batch);
                Ok(())
            }
            Err(error) => Err(self.come_again(error, messages.len())),
        }
    }
}
