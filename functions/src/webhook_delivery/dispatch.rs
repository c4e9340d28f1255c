//! What comes out of the two queues, and what becomes of it: it is done, it stays for a while, or it is set aside.

use std::error::Error;

use chrono::DateTime;
use shared::bucket::BucketError;
use shared::domain::event::Event;
use shared::domain::payload::{self, PayloadError};
use shared::nature::Nature;
use shared::queue::consumer::Done;
use shared::queue::{OutgoingMessage, QueueError, QueueNames, Received};
use shared::seal::SealError;
use shared::sealed::OpenError;
use shared::storage::StorageError;
use shared::telemetry::chain;
use tracing::{debug, error, warn};

use super::parties::Asked;
use super::plan;
use super::send::Due;
use super::slow;
use super::state::WebhooksState;

/// One of the queues that this function consumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceQueue {
    /// Events as they happen, in the order of their chats.
    Events,
    /// Events that are tried again, and other errands.
    Errands,
}

/// A queue, with those that belong to it.
#[derive(Debug, Clone)]
pub struct Source {
    /// The queues of its network.
    pub names: QueueNames,
    /// Which of them.
    pub queue: SourceQueue,
}

/// Why a message is not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stuck {
    /// A newer version of this function has to do it.
    #[error("it needs version {0} of this function")]
    Newer(u32),
    /// As much is under way as may be.
    #[error("there is no place for another attempt")]
    NoPlace,
    /// Somebody else is at it.
    #[error("somebody else is trying it now")]
    Claimed,
    /// This process or machine has no files left for a connection.
    #[error("there are no files left to connect with")]
    NoFiles,
    /// Something is away, or in a state that may be mended.
    #[error("it cannot be done now")]
    Now(#[source] Box<dyn Error + Send + Sync>),
    /// It is proven that it can never be done.
    #[error("it can never be done: {0}")]
    Never(String),
}

/// What comes of handling a message.
pub(super) type Handled<T = ()> = Result<T, Stuck>;

macro_rules! waits {
    ($($error:ty),+) => {
        $(impl From<$error> for Stuck {
            /// Whatever it is, the message is not to blame.
            fn from(error: $error) -> Self {
                Self::Now(error.into())
            }
        })+
    };
}

waits!(
    StorageError,
    SealError,
    BucketError,
    QueueError,
    crate::state::NotServed
);

impl Stuck {
    /// Of a sealed value that came with the message itself: what is proven corrupt stays so.
    pub(super) fn of_sealed(what: &str, error: OpenError) -> Self {
        match error.nature() {
            Nature::Permanent => Self::Never(format!("{what}: {}", chain(&error))),
            Nature::Transient | Nature::Unknown => Self::Now(error.into()),
        }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is called by `map_err`")]
    pub(super) fn of_payload(error: PayloadError) -> Self {
        match error {
            PayloadError::Newer(version) => Self::Newer(version),
            // What is wrong with it is not quoted: it may be content.
            PayloadError::Malformed(_) => Self::Never("the payload is malformed".to_owned()),
        }
    }
}

impl WebhooksState {
    /// The source that a queue of this name is; `None` where this function consumes no such queue.
    pub fn source(&self, name: &str) -> Option<Source> {
        self.networks.iter().find_map(|network| {
            let names = self.queue_names(*network).ok()?;
            let queue = if names.events().as_str() == name {
                SourceQueue::Events
            } else if names.events_retry().as_str() == name {
                SourceQueue::Errands
            } else {
                return None;
            };
            Some(Source {
                names: names.clone(),
                queue,
            })
        })
    }

    /// Does what a message asks for. Says what becomes of the message; of a group of events what comes behind one that stays,
    /// stays as well, and is not to be handled.
    pub async fn handle(&self, source: &Source, message: &Received) -> Done {
        let handled = match source.queue {
            SourceQueue::Events => Box::pin(self.event(&source.names, message)).await,
            SourceQueue::Errands => Box::pin(self.errand(&source.names, message)).await,
        };
        let stays = || Done::LeaveFor(plan::left_for(message.receive_count));
        match handled {
            Ok(()) => Done::Delete,
            Err(Stuck::Never(reason)) => match self.set_aside(source, message, &reason).await {
                Ok(()) => Done::Delete,
                Err(error) => {
                    warn!(message.id = message.message_id, error = %chain(&error), "could not set a message aside");
                    stays()
                }
            },
            Err(stuck @ (Stuck::Now(_) | Stuck::NoFiles)) => {
                warn!(message.id = message.message_id, error = %chain(&stuck), "a message stays in its queue");
                stays()
            }
            Err(stuck @ (Stuck::Newer(_) | Stuck::NoPlace | Stuck::Claimed)) => {
                debug!(message.id = message.message_id, reason = %stuck, "a message stays in its queue");
                stays()
            }
        }
    }

    /// An event in the line of its chat.
    async fn event(&self, names: &QueueNames, message: &Received) -> Handled {
        let event: Event = payload::decode(&message.body).map_err(Stuck::of_payload)?;
        let asked = Asked::Event(event.kind);
        let parties = self.parties((event.subscription, event.instance), asked).await?;
        // Whoever deletes an instance or its webhook wants nothing more of it.
        let Some((webhook, instance)) = parties else {
            debug!(instance.id = %event.instance, event.id = %event.id, "an event that nobody wants is dropped");
            return Ok(());
        };
        if !asked.is_taken_by(&webhook) {
            return Ok(());
        }
        let is_again = message.receive_count > 1;
        let delivery = if is_again { self.found(&event).await? } else { None };
        let due = Due {
            event: &event,
            webhook: &webhook,
            instance: &instance,
            asked_at: DateTime::UNIX_EPOCH,
            made: 0,
            known: delivery.as_ref(),
            is_again,
        };
        // It may have been tried by somebody who could not say so.
        if let Some(delivery) = &delivery
            && self.go_on(names, &due, delivery).await?
        {
            return Ok(());
        }
        let has_waited = slow::has_waited(&webhook, message.sent_at, self.clock.now());
        if has_waited && self.known_to_be_taken(&due).is_none() {
            return self.leave_line(names, due).await;
        }
        self.send(names, due).await
    }

    /// Puts a copy of a message among the dead letters, with the reason. The copy is deduplicated by the message.
    async fn set_aside(&self, source: &Source, message: &Received, reason: &str) -> Result<(), QueueError> {
        let (queue, dead) = match source.queue {
            SourceQueue::Events => (source.names.events(), source.names.dead_fifo()),
            SourceQueue::Errands => (source.names.events_retry(), source.names.dead()),
        };
        let body = serde_json::json!({ "reason": reason, "queue": queue.as_str(), "body": message.body })
            .to_string();
        let letter = match source.queue {
            SourceQueue::Events => {
                let group = message.group.as_deref().unwrap_or("parked");
                OutgoingMessage::fifo(body, group, message.message_id.clone())
            }
            SourceQueue::Errands => OutgoingMessage::standard(body),
        };
        self.queue.send(&dead, letter).await?;
        error!(%queue, message.id = message.message_id, reason, "parked a message that cannot be done");
        Ok(())
    }
}
