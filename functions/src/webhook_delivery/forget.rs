//! What is left of a webhook that was deleted: its log, and the events that were kept for it.

use std::time::Duration;

use chrono::TimeDelta;
use futures::{StreamExt as _, stream};
use shared::domain::delivery::{Delivery, DeliveryState, Errand};
use shared::domain::payload;
use shared::queue::{OutgoingMessage, QueueNames};
use tokio::time::Instant;

use super::dispatch::Handled;
use super::state::WebhooksState;

/// How long an errand removes before it makes room for others, and is queued again: no longer than an attempt takes, so that
/// an invocation which begins it last ends in time.
pub const TIME: Duration = Duration::from_secs(15);

/// How many kept events are deleted at once.
const AT_ONCE: usize = 16;

impl WebhooksState {
    /// Removes what an [`Errand::Forget`] names, the oldest first: of each page what is kept, and then its rows. So what is
    /// removed stays so where this is broken off and done again, and what is kept is known until it is gone.
    pub(super) async fn forget(&self, names: &QueueNames, errand: Errand) -> Handled {
        let Errand::Forget {
            instance, deleted_at, ..
        } = errand
        else {
            return Ok(());
        };
        // The log of a webhook that was made since begins later, and stays.
        let before = deleted_at + TimeDelta::milliseconds(1);
        let until = Instant::now() + self.forgets_for;
        let mut behind = None;
        loop {
            let left = self.deliveries.left_before(instance, before, behind).await?;
            let kept = left
                .deliveries
                .iter()
                .filter(|delivery| delivery.progress.state != DeliveryState::Succeeded);
            let events: Vec<_> = kept.map(Delivery::event).collect();
            stream::iter(events)
                .map(|event| self.let_go(instance, event))
                .buffer_unordered(AT_ONCE)
                .collect::<()>()
                .await;
            self.deliveries.remove(instance, &left.deliveries).await?;
            behind = left.next;
            if behind.is_none() {
                return Ok(());
            }
            if Instant::now() >= until {
                let rest = OutgoingMessage::standard(payload::encode(&errand));
                self.queue.send(&names.events_retry(), rest).await?;
                return Ok(());
            }
        }
    }
}
