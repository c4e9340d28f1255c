//! Endpoints that take events, and long for each.
//!
//! Such an endpoint fails in nothing, so no breaker opens; but each of its attempts keeps a place of all for seconds, and on
//! Lambda a whole invocation. So it is noted on its webhook, and from then on a few attempts to it are under way at once, in
//! all processes together ([`Webhooks::take_place`](shared::storage::webhooks::Webhooks::take_place)). What finds no place stays in
//! its line. What has waited there for too long leaves it, as what failed does: else an endpoint that is slower than its events
//! come would fill the queue, of which the service looks at the first 120,000 messages alone.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::webhook::Webhook;
use shared::storage::webhooks::Place;
use shared::telemetry::chain;
use tracing::warn;

use super::dispatch::{Handled, Stuck};
use super::state::WebhooksState;

/// For how long an endpoint is slow after an attempt that took long.
const BELIEVED: TimeDelta = TimeDelta::minutes(5);

/// For how long a place is an attempt's at most: longer than one takes.
const HELD: TimeDelta = TimeDelta::seconds(30);

/// For how long an event waits for a slow endpoint in the line of its chat.
pub const LINE: TimeDelta = TimeDelta::minutes(15);

/// The bounds of slow endpoints.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// An attempt that takes so long makes its endpoint a slow one.
    pub after: Duration,
    /// Attempts to a slow endpoint at once, in all processes together:
    /// [`MOST_PLACES`](shared::storage::webhooks::Webhooks::MOST_PLACES) at most.
    pub of_one: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            after: Duration::from_secs(2),
            of_one: 4,
        }
    }
}

/// Whether an event that was sent then has waited in its line for as long as a slow endpoint may let it.
pub fn has_waited(webhook: &Webhook, sent_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    webhook.health.is_slow(now) && sent_at.is_some_and(|sent_at| now - sent_at >= LINE)
}

impl WebhooksState {
    /// A place for an attempt to an endpoint that is slow; `None` where it is not.
    pub(super) async fn slow_place(&self, webhook: &Webhook) -> Handled<Option<Place>> {
        let now = self.clock.now();
        if !webhook.health.is_slow(now) {
            return Ok(None);
        }
        let of = self.slow.of_one;
        let place = self
            .webhooks
            .take_place(webhook.instance, of, now, now + HELD)
            .await?;
        place.map(Some).ok_or(Stuck::NoPlace)
    }

    /// An attempt that took so long has ended.
    pub(super) async fn note_pace(&self, webhook: &Webhook, place: Option<Place>, took: Duration) {
        let now = self.clock.now();
        // Not with each attempt: while it is slow, that is noted anew when half the time is over.
        let is_due = took >= self.slow.after && !webhook.health.is_slow(now + BELIEVED / 2);
        let leaving = async {
            if let Some(place) = place {
                self.webhooks.leave_place(place).await
            } else {
                Ok(())
            }
        };
        let noting = async {
            if is_due {
                self.webhooks.note_slow(webhook, now + BELIEVED).await
            } else {
                Ok(())
            }
        };
        let (left, noted) = tokio::join!(leaving, noting);
        for error in [left.err(), noted.err()].into_iter().flatten() {
            warn!(instance.id = %webhook.instance, error = %chain(&error), "could not note how long an endpoint takes");
        }
    }
}
