//! Events on their way through the retry queue.

use chrono::{DateTime, Utc};
use shared::domain::delivery::{Body, Delivery, Errand, Retry};
use shared::domain::payload;
use shared::queue::{MAX_DELAY, OutgoingMessage, QueueNames};
use shared::storage::deliveries::whole_milliseconds;

use super::dispatch::Handled;
use super::plan;
use super::send::Due;
use super::state::WebhooksState;

/// When an event is tried again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    /// The time, in whole milliseconds.
    pub at: DateTime<Utc>,
    /// How many attempts of its row are over by then.
    pub made: u32,
}

impl WebhooksState {
    /// When an event is tried again that has failed now; `None` where it has no more attempts.
    pub(super) fn next(&self, due: &Due<'_>, not_before: Option<DateTime<Utc>>) -> Option<Next> {
        let made = due.made.saturating_add(1);
        let number = usize::try_from(made).unwrap_or(usize::MAX);
        let at = plan::next(number, self.clock.now(), not_before, rand::random())?;
        Some(Next {
            at: whole_milliseconds(at),
            made,
        })
    }

    /// When an event is tried again of which nothing was sent, since its endpoint is left alone until then. That counts as an
    /// attempt, unless it would have been the last one.
    pub(super) fn after_pause(&self, due: &Due<'_>, until: DateTime<Utc>) -> Option<Next> {
        self.next(due, Some(until)).or_else(|| {
            let now = self.clock.now();
            let began = due.known.map_or(now, |delivery| delivery.created_at);
            let at = plan::last(began.max(due.asked_at), now, until, rand::random())?;
            Some(Next {
                at: whole_milliseconds(at),
                made: due.made,
            })
        })
    }

    /// When an event is tried for which its endpoint had no place; `None` where its row of attempts has waited too long for one.
    /// It goes through the queue anew: what is left there instead counts among the messages that the queue has given out, of
    /// which there are 120,000 at most (SQS), and everybody's retries would wait behind it.
    pub(super) fn after_wait(&self, due: &Due<'_>, delivery: &Delivery) -> Option<Next> {
        let began = delivery.created_at.max(due.asked_at);
        let at = plan::without_place(began, self.clock.now(), rand::random())?;
        Some(Next {
            at: whole_milliseconds(at),
            made: due.made,
        })
    }

    /// Puts an event into the retry queue, which is in the bucket or goes along.
    pub(super) async fn put_off(
        &self,
        names: &QueueNames,
        due: &Due<'_>,
        next: Next,
        is_kept: bool,
    ) -> Handled {
        let event = due.event;
        let retry = Retry {
            id: event.id,
            instance: event.instance,
            subscription: event.subscription,
            webhook: due.webhook.created_at,
            attempt: next.made,
            asked_at: Some(due.asked_at),
            due_at: next.at,
            body: if is_kept {
                Body::Kept
            } else {
                Body::Here(Box::new(event.clone()))
            },
        };
        self.queue_retry(names, retry).await
    }

    /// Puts a retry into its queue, hidden until it is due, or for as long as the queue hides anything.
    pub(super) async fn queue_retry(&self, names: &QueueNames, retry: Retry) -> Handled {
        let errand = Errand::Retry(retry);
        let wait = errand.wait(self.clock.now()).min(MAX_DELAY);
        let message = OutgoingMessage::standard(payload::encode(&errand)).delayed(wait);
        self.queue.send(&names.events_retry(), message).await?;
        Ok(())
    }
}
