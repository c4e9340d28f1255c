//! Incoming messages: a record and an event each, before WhatsApp hears that they came.

use std::sync::Arc;

use async_trait::async_trait;
use shared::domain::content::{Came, MAX_WHATSAPP_ID, Source, Whence};
use shared::domain::counting::Counter;
use shared::domain::event::{Data, MessageReceived};
use shared::domain::message::{Direction, MessageRecord, RECORD_TERM, State, Truncation};
use shared::domain::person::{Acquaintance, MAX_NAME, Person};
use shared::fault;
use shared::ids::{InstanceId, MediaId, MessageId};
use shared::queue::QueueError;
use shared::session_state::Fence;
use shared::storage::StorageError;
use shared::storage::media::{self, INCOMING_TERM, MediaTable};
use shared::storage::messages::{Pointed, Put};
use shared::telemetry::chain;
use tracing::{debug, warn};

use super::keeping::Keeping;
use super::notices::Notices;
use super::push_names::PushNames;
use super::{Actor, tally, telling};
use crate::announce::announcement::Announcement;
use crate::announce::{AnnounceError, Handed};
use crate::connection::{CommitError, InboundMessage, InboundSink};
use crate::deps::Deps;

/// The longest JID of a sender by which a file is asked for, in bytes.
const MAX_JID: usize = 256;

/// Commits an instance's incoming messages. A message that comes again finds its record
/// and has the same event id.
#[derive(Debug)]
pub struct Inbound {
    deps: Arc<Deps>,
    instance: InstanceId,
    fence: Fence,
    notices: Notices,
    push_names: Arc<PushNames>,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Inbound {
    /// The sink of this actor's instance.
    pub fn new(actor: &Actor) -> Self {
        Self {
            deps: actor.deps.clone(),
            instance: actor.id,
            fence: actor.fence.clone(),
            notices: actor.notices.clone(),
            push_names: actor.push_names.clone(),
        }
    }

    /// Looks up the other side, then teaches the directory which names are one person.
    async fn who_wrote(&self, message: &InboundMessage) -> Acquaintance {
        let people = &self.deps.people;
        // Before `meet`, so that a person who was first met by another name keeps that chat.
        let chat = people.who_is(self.instance, &message.chat).await;
        let met = match (message.chat.group(), message.from_me) {
            (None, _) => Some((message.chat.clone(), &message.with)),
            (Some(_), true) => None,
            (Some(_), false) => {
                let sender = message.sender.parse().ok();
                let sender = sender.or_else(|| message.from.names().next());
                sender.map(|sender| (sender, &message.from))
            }
        };
        if let Some((name, person)) = met {
            let other = person.names().find(|other| *other != name);
            people.meet(self.instance, &self.fence, &name, other);
        }
        chat
    }

    /// Stores the records, then tells of the messages: together, so that many events go in few requests.
    async fn commit_all(&self, batch: &[InboundMessage]) -> Result<(), Cause> {
        let mut committed = Vec::new();
        for message in batch {
            committed.extend(Box::pin(self.commit_one(message)).await?);
        }
        fault::point("before-received-event");
        let mut handed = Vec::new();
        for message in &committed {
            handed.push(self.hand_on(message).await?);
        }
        for (message, handed) in committed.iter().zip(handed) {
            self.told(message, handed).await?;
        }
        for message in batch {
            self.push_names.note(message, &self.notices);
        }
        Ok(())
    }

    /// Stores the message's record. Answers what is to be told of it, if anything is.
    async fn commit_one(&self, message: &InboundMessage) -> Result<Option<Committed>, Cause> {
        let instance = self.instance.to_string();
        let chat = message.chat.to_jid();
        let parts: [&str; 4] = [&instance, &chat, &message.sender, &message.whatsapp_id];
        let (sender, whatsapp_id) = (&message.sender, &message.whatsapp_id);
        let id = MessageRecord::id_of_inbound(self.instance, message.received_at, &chat, sender, whatsapp_id);
        let is_about_another = message.is_about_another();
        let known = self.who_wrote(message).await;
        // A vote is with its poll already, and is no message.
        let (put, file) = if message.vote.is_some() {
            (Put::AlreadyThere, None)
        } else {
            let keeping = Keeping::new(&self.deps, self.instance);
            let (file, ()) =
                tokio::try_join!(self.keep_file(id, message), keeping.keep_received(id, message))?;
            // The last of all: whoever sees the message in a list can have its file, and forward it.
            (self.store(id, message, &known).await?, file)
        };
        if message.from_me && !is_about_another {
            return Ok(None);
        }
        // Before the event: where that fails the message comes again, and its record is
        // there already.
        if put == Put::Created && !is_about_another {
            self.deps.meter.received.add(1);
            tally::count(&self.deps, self.instance, &[Counter::Received], message.at).await;
        }
        let messages = &self.deps.messages;
        let data = telling::data(messages, self.instance, id, message, &known.chat, file).await?;
        Keeping::new(&self.deps, self.instance)
            .follow(&data, &message.content)
            .await?;
        let event = Announcement::incoming(self.instance, &known.chat, &parts, message.at, data);
        Ok(Some(Committed { id, event }))
    }

    /// Stores what it takes to fetch the message's file later. Answers the file's id. One write unit where it has a file.
    async fn keep_file(&self, id: MessageId, message: &InboundMessage) -> Result<Option<MediaId>, Cause> {
        let (told, _) = telling::content(message);
        let media = message.content.media().filter(|_| !message.from_me);
        let Some(Source::Remote(remote)) = media.and_then(|media| media.source.as_ref()) else {
            return Ok(None);
        };
        let Some(came) = whence(message).and_then(|whence| Came::of(&told, remote, whence)) else {
            warn!(instance.id = %self.instance, message.id = %id, "an incoming message says of its file what no app does");
            return Ok(None);
        };
        let file = MediaId::of_message(id);
        let sealed = media::seal(&self.deps.sealer, self.instance, file, &came).await?;
        let table = MediaTable::new(self.deps.table.clone());
        let expires = message.received_at + INCOMING_TERM;
        match table.came(self.instance, file, sealed, expires).await {
            Ok(()) => Ok(Some(file)),
            Err(error) if error.nature().is_permanent() => {
                warn!(instance.id = %self.instance, message.id = %id, error = %chain(&error), "the file of an incoming message cannot be had later");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Stores the message's record, and what leads to it from WhatsApp's id.
    async fn store(
        &self,
        id: MessageId,
        message: &InboundMessage,
        known: &Acquaintance,
    ) -> Result<Put, StorageError> {
        let (messages, whatsapp_id) = (&self.deps.messages, &message.whatsapp_id);
        let expires = message.received_at + RECORD_TERM;
        if message.from_me {
            let put = self.record(id, message, known).await?;
            // After the record, which it leads to: where this fails the message comes again.
            messages.point(self.instance, whatsapp_id, id, expires).await?;
            return Ok(put);
        }
        let pointing = async {
            if message.content.kind().is_about_another() {
                return Ok(());
            }
            let pointed = Pointed {
                message: id,
                kind: message.content.kind(),
                author: message.from.within(MAX_NAME),
            };
            let pointing =
                messages.point_to_received(self.instance, &known.chat, whatsapp_id, &pointed, expires);
            pointing.await
        };
        let (put, ()) = tokio::try_join!(self.record(id, message, known), pointing)?;
        Ok(put)
    }

    /// Puts the message's record. One that the table refuses for good is put as a stub: where
    /// that one is taken, it was the message that was in the way.
    async fn record(
        &self,
        id: MessageId,
        message: &InboundMessage,
        known: &Acquaintance,
    ) -> Result<Put, StorageError> {
        let whole = self.record_of(id, message, known);
        let refused = match self.deps.messages.put(&whole).await {
            Err(error) if error.nature().is_permanent() => error,
            put => return put,
        };
        warn!(instance.id = %self.instance, message.id = %id, error = %chain(&refused), "an incoming message is recorded as a stub");
        let stub = MessageRecord {
            person: whole.person.within(MAX_NAME),
            whatsapp_id: None,
            truncated: Some(match refused {
                StorageError::TooLarge(_) => Truncation::TooLarge,
                _ => Truncation::Refused,
            }),
            ..whole
        };
        self.deps.messages.put(&stub).await
    }

    fn record_of(&self, id: MessageId, message: &InboundMessage, known: &Acquaintance) -> MessageRecord {
        let (_, truncated) = telling::content(message);
        let direction = if message.from_me {
            Direction::Outgoing
        } else {
            Direction::Incoming
        };
        let (kind, chat, person) = (
            message.content.kind(),
            known.chat.clone(),
            person_of(message, known),
        );
        let mut record = MessageRecord::new(id, self.instance, direction, kind, chat, person, message.at);
        if message.from_me {
            record.state = State::Sent;
            record.sent_at = Some(message.at);
        }
        // By whichever clock is ahead: nothing of it happened later.
        record.updated_at = message.at.max(message.received_at);
        // The sender's to choose: one that no client makes is not kept.
        record.whatsapp_id = Some(message.whatsapp_id.clone()).filter(|id| id.len() <= MAX_WHATSAPP_ID);
        record.received_at = Some(message.received_at);
        record.truncated = truncated;
        record
    }

    /// Hands the message's event on. One that the queue refuses for good goes without content:
    /// where that one is taken, it was the content that was in the way.
    async fn hand_on(&self, committed: &Committed) -> Result<Handed, Cause> {
        let announcer = &self.deps.announcer;
        match announcer.hand_on(committed.event.clone()).await {
            Err(error) if error.refused().is_some() => {
                Ok(announcer.hand_on(self.stub(committed, &error)).await?)
            }
            handed => Ok(handed?),
        }
    }

    /// Waits until the message's event is told.
    async fn told(&self, committed: &Committed, handed: Handed) -> Result<(), Cause> {
        let announcer = &self.deps.announcer;
        match announcer.told(handed).await {
            Err(error) if error.refused().is_some() => {
                announcer.announce(self.stub(committed, &error)).await?;
            }
            told => told?,
        }
        debug!(instance.id = %self.instance, message.id = %committed.id, "message received");
        Ok(())
    }

    /// The event without what a sender may have made large, or odd.
    fn stub(&self, committed: &Committed, error: &AnnounceError) -> Announcement {
        warn!(instance.id = %self.instance, message.id = %committed.id, error = %chain(error), "an incoming message is told of without content");
        let stub = committed.event.clone().without_content();
        let reason = match error.refused() {
            Some(QueueError::TooLarge { .. }) => Truncation::TooLarge,
            _ => Truncation::Refused,
        };
        let cut = |message: Box<MessageReceived>| {
            Box::new(MessageReceived {
                truncated: true,
                truncation_reason: Some(reason),
                ..*message
            })
        };
        let data = match stub.data {
            Data::MessageReceived(message) => Data::MessageReceived(cut(message)),
            Data::MessageEdited(message) => Data::MessageEdited(cut(message)),
            other => other,
        };
        Announcement { data, ..stub }
    }
}

/// How WhatsApp names a message that came in; `None` of one whose names no client makes.
pub fn whence(message: &InboundMessage) -> Option<Whence> {
    let is_plain = message.whatsapp_id.len() <= MAX_WHATSAPP_ID && message.sender.len() <= MAX_JID;
    is_plain.then(|| Whence {
        whatsapp_id: message.whatsapp_id.clone(),
        chat: message.chat.to_jid(),
        from_me: message.from_me,
        participant: message.chat.group().map(|_| message.sender.clone()),
    })
}

/// A message whose record is stored, and what is to be told of it.
struct Committed {
    id: MessageId,
    event: Announcement,
}

/// The other side of a chat with a person, and in a group whoever wrote, by each name that the
/// message or the directory gives.
fn person_of(message: &InboundMessage, chat: &Acquaintance) -> Person {
    let is_person = message.chat.group().is_none();
    if !is_person && !message.from_me {
        return message.from.clone();
    }
    let mut person = message.with.clone();
    if is_person {
        person.phone = person.phone.or_else(|| chat.person.phone.clone());
        person.lid = person.lid.or_else(|| chat.person.lid.clone());
    }
    person
}

#[async_trait]
impl InboundSink for Inbound {
    async fn commit(&self, batch: &[InboundMessage]) -> Result<(), CommitError> {
        self.commit_all(batch).await.map_err(CommitError)
    }
}
