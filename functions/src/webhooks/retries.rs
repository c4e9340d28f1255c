//! Events on their way through the retry queue.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::domain::delivery::{Body, Errand, Retry};
use shared::domain::payload;
use shared::queue::{MAX_DELAY, OutgoingMessage, QueueNames};
use shared::storage::deliveries::whole_milliseconds;

use super::plan;
use super::road::Handled;
use super::send::Due;
use super::state::WebhooksState;

impl WebhooksState {
    /// When an event is tried again that has failed now.
    pub(super) fn next(&self, due: &Due<'_>, not_before: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        let made = usize::try_from(due.made).unwrap_or(usize::MAX).saturating_add(1);
        let next = plan::next(made, self.clock.now(), not_before, rand::random());
        next.map(whole_milliseconds)
    }

    /// Puts an event of which so many attempts were made into the retry queue.
    pub(super) async fn put_off(
        &self,
        names: &QueueNames,
        due: &Due<'_>,
        made: u32,
        at: DateTime<Utc>,
    ) -> Handled {
        let event = due.event;
        let retry = Retry {
            id: event.id,
            instance: event.instance,
            subscription: event.subscription,
            webhook: due.webhook.created_at,
            attempt: made,
            due_at: at,
            body: if due.kept_until.is_some() {
                Body::Kept
            } else {
                Body::Here(Box::new(event.clone()))
            },
        };
        self.queue_retry(names, retry).await
    }

    /// Puts a retry into its queue, hidden until it is due, or for as long as the queue hides anything.
    pub(super) async fn queue_retry(&self, names: &QueueNames, retry: Retry) -> Handled {
        let wait = (retry.due_at - self.clock.now()).to_std().unwrap_or_default();
        // Whole seconds, which is what SQS counts, and never too early.
        let wait = Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        let message = OutgoingMessage::standard(payload::encode(&Errand::Retry(retry)));
        let message = message.delayed(wait.min(MAX_DELAY));
        self.queue.send(&names.events_retry(), message).await?;
        Ok(())
    }
}
