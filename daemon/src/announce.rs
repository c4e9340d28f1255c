//! The announcer: every event is made here.
//!
//! It derives the event's id from what it tells of, and hands the same value to two ways out: the events queue
//! ([`mod@line`]), which is durable, and the realtime hub ([`hub`]), which is not. What nobody wants ([`audience`]) is not
//! queued, and costs nothing; the queue's way out seals what it takes. Whoever announces waits until the event is in the
//! queue, where somebody wants it.
//!
//! An event belongs to a state, and none is lost between the two:
//!
//! | of what | first | what tells it again after a crash |
//! | --- | --- | --- |
//! | a message that came in | its record | WhatsApp, which has no acknowledgement yet |
//! | a message that was sent, failed, expired or was cancelled | its state | its job, which is deleted last |
//! | a receipt | the event | nothing: WhatsApp does not repeat receipts, so the event is queued before the state is stored |
//! | a group, a contact, presence, a call | nothing | nothing: WhatsApp does not repeat what the library has acknowledged |
//! | a connection | the status, with what is [untold](shared::domain::event::Untold) beside it | the next look at the item |

pub mod announcement;
pub mod audience;
pub mod hub;
pub mod line;
mod messages;
pub mod sessions;
pub mod shown;

use std::sync::{Arc, Mutex};

use shared::domain::event::{Event, EventType};
use shared::domain::instance::Instance;
use shared::domain::message::MessageRecord;
use shared::domain::news::News;
use shared::domain::payload;
use shared::ids::{InstanceId, MessageId};
use shared::nature::Nature;
use shared::queue::{OutgoingMessage, Queue, QueueError, QueueName, QueueNames};
use shared::recent::Recent;
use shared::seal::{SealError, Sealer};
use shared::sealed;
use shared::storage::StorageError;
use shared::storage::instances::Instances;
use shared::storage::messages::Messages;
use shared::trace::Span;
use shared::trace::queues;
use tokio_util::task::TaskTracker;

use self::announcement::Announcement;
use self::audience::{Audience, Listener};
use self::hub::Hub;
use self::line::{Line, LineError, Queued};
use self::shown::Shown;
use crate::meter::Events;

/// Of how many messages a process remembers what it told last.
const REMEMBERED: usize = 4_096;

/// Of how many messages states can be told at once.
const TURNS: usize = 1_024;

/// Makes every event of a process.
#[derive(Debug)]
pub struct Announcer {
    audience: Audience,
    sealer: Arc<Sealer>,
    /// What the queue of events is called.
    queue: QueueName,
    line: Line,
    hub: Arc<Hub>,
    messages: Messages,
    instances: Instances,
    /// What was told last of messages whose states somebody wants.
    told: Mutex<Recent<MessageId, MessageRecord>>,
    /// States of one message are told one after the other: the server's word and a phone's may come at once. By a part of the
    /// message's id.
    turns: Vec<tokio::sync::Mutex<()>>,
}

/// Why an event is not told.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// Who wants it could not be read.
    #[error("who wants an event could not be read")]
    Audience(#[from] StorageError),
    /// It could not be sealed.
    #[error("an event could not be sealed")]
    Seal(#[from] SealError),
    /// It is not in the queue, as far as is known.
    #[error("an event could not be queued")]
    Line(#[from] LineError),
}

impl AnnounceError {
    /// Whether telling the same again may succeed.
    pub fn nature(&self) -> Nature {
        match self {
            // An item that cannot be read may be mended, and is no fault of the event's.
            Self::Audience(error) if error.nature().is_permanent() => Nature::Unknown,
            Self::Audience(error) => error.nature(),
            Self::Seal(error) => error.nature(),
            Self::Line(LineError::Queue(error)) => error.nature(),
            Self::Line(LineError::Behind | LineError::Ended) => Nature::Transient,
        }
    }

    /// What the queue said, where it refuses this very event for good.
    pub fn refused(&self) -> Option<&QueueError> {
        match self {
            Self::Line(LineError::Queue(error)) if error.nature().is_permanent() => Some(error),
            _ => None,
        }
    }
}

/// An event that was handed on, and is told when the queue has it.
#[derive(Debug)]
pub struct Handed {
    announcement: Announcement,
    /// `None` where the instance is gone.
    listener: Option<Arc<Listener>>,
    /// `None` where nobody wants it.
    queued: Option<(Queued, Span)>,
}

impl Announcer {
    /// An announcer over this table and the queue of events. `tasks` moves what waits for the queue.
    pub fn new(
        instances: Instances,
        messages: Messages,
        queue: Arc<dyn Queue>,
        names: &QueueNames,
        sealer: Arc<Sealer>,
        tasks: &TaskTracker,
    ) -> Self {
        let (line, moving) = Line::before(queue, names.events());
        tasks.spawn(moving);
        Self {
            audience: Audience::new(instances.clone()),
            sealer,
            queue: names.events(),
            line,
            hub: Arc::default(),
            messages,
            instances,
            told: Mutex::new(Recent::new(REMEMBERED)),
            turns: (0..TURNS).map(|_| tokio::sync::Mutex::default()).collect(),
        }
    }

    /// Notes which events somebody wants of an instance, as its item was just read.
    pub fn note(&self, instance: &Instance) {
        let _ = self.audience.note(instance);
    }

    /// For how many days an instance keeps the content of its messages, as its item said a moment ago; 0 of one that is gone.
    pub async fn content_days(&self, instance: InstanceId) -> Result<u8, StorageError> {
        let listener = self.audience.of(instance).await?;
        Ok(listener.map_or(0, |listener| listener.content_days))
    }

    /// Whether somebody wants events of this type or follows the instance in the realtime feed, as far as that is known
    /// without a look at the table.
    pub fn is_known_to_be_heard(&self, instance: InstanceId, kind: EventType) -> bool {
        let listener = self.audience.known(instance);
        listener.is_some_and(|listener| self.is_heard_by(&listener, kind))
    }

    /// Whether somebody wants events of this type or follows the instance in the realtime feed.
    pub async fn is_heard(&self, instance: InstanceId, kind: EventType) -> Result<bool, AnnounceError> {
        let listener = self.audience.of(instance).await?;
        Ok(listener.is_some_and(|listener| self.is_heard_by(&listener, kind)))
    }

    fn is_heard_by(&self, listener: &Listener, kind: EventType) -> bool {
        listener.wants.wants(kind) || self.hub.is_followed(listener.subscription)
    }

    /// Whether somebody wants events of this type.
    pub async fn is_wanted(&self, instance: InstanceId, kind: EventType) -> Result<bool, AnnounceError> {
        let listener = self.audience.of(instance).await?;
        Ok(listener.is_some_and(|listener| listener.wants.wants(kind)))
    }

    /// What has come of events on their way to the queue.
    pub fn events(&self) -> &Events {
        self.line.events()
    }

    /// The realtime way out.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Tells an event: where somebody wants it, it is in the queue when this answers.
    pub async fn announce(&self, announcement: Announcement) -> Result<(), AnnounceError> {
        let handed = self.hand_on(announcement).await?;
        self.told(handed).await
    }

    /// Hands an event on. Events that are handed on one after the other are told in that order, within a chat, and may go
    /// in one request.
    pub async fn hand_on(&self, announcement: Announcement) -> Result<Handed, AnnounceError> {
        let kind = announcement.data.kind();
        let listener = self.audience.of(announcement.instance).await?;
        let queued = match listener.as_ref().filter(|listener| listener.wants.wants(kind)) {
            Some(listener) => Some(self.enqueue(&announcement, listener).await?),
            None => None,
        };
        Ok(Handed {
            announcement,
            listener,
            queued,
        })
    }

    /// Waits until an event that was handed on is told.
    pub async fn told(&self, handed: Handed) -> Result<(), AnnounceError> {
        if let Some((queued, mut span)) = handed.queued {
            let stored = queued.stored().await;
            if stored.is_err() {
                span.fail("not_queued");
            }
            stored?;
        }
        let listener = handed.listener.as_ref();
        if let Some(shown) = listener.and_then(|listener| Shown::of(listener, &handed.announcement)) {
            self.hub.show(shown);
        }
        Ok(())
    }

    /// Shows what a function has done in the realtime feed. An event that is tried is shown as if it had happened.
    pub async fn news(&self, news: &News) -> Result<(), StorageError> {
        let shown = match Announcement::tried(news) {
            Some(tried) => {
                let listener = self.audience.of(tried.instance).await?;
                listener.and_then(|listener| Shown::of(&listener, &tried))
            }
            None => Shown::news(news),
        };
        if let Some(shown) = shown {
            self.hub.show(shown);
        }
        Ok(())
    }

    async fn enqueue(
        &self,
        announcement: &Announcement,
        listener: &Listener,
    ) -> Result<(Queued, Span), AnnounceError> {
        let Announcement {
            id, instance, data, ..
        } = announcement;
        let mut span = queues::sending(&self.queue);
        span.show("waxwing.event.id", id);
        span.show("waxwing.event.type", &data.kind());
        let event = Event {
            id: *id,
            kind: data.kind(),
            timestamp: announcement.at,
            instance: *instance,
            subscription: listener.subscription,
            needs: data.needs(),
            trace: span.context(),
            data: sealed::seal(&self.sealer, *instance, id, data).await?,
        };
        let message = OutgoingMessage::fifo(
            payload::encode(&event),
            announcement.group.clone(),
            id.to_string(),
        );
        Ok((self.line.put(message).await?, span))
    }
}
