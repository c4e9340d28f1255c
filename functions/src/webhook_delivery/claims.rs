//! Whose an attempt is: of two messages of one event, and of two processes that have one message, one makes it.

use chrono::TimeDelta;
use shared::domain::delivery::{Delivery, DeliveryState, Progress};
use shared::domain::event::{Data, Event};
use shared::ids::DeliveryId;
use shared::queue::QueueNames;
use shared::storage::deliveries::whole_milliseconds;

use super::dispatch::{Handled, Stuck};
use super::retries::Next;
use super::send::Due;
use super::state::WebhooksState;

/// For how long an attempt is nobody else's: longer than it takes.
const CLAIMED: TimeDelta = TimeDelta::seconds(30);

impl WebhooksState {
    /// The delivery of an event that has come before.
    pub(super) async fn found(&self, event: &Event) -> Handled<Option<Delivery>> {
        let (id, now) = (DeliveryId::of(event.id), self.clock.now());
        Ok(self.deliveries.find(event.instance, id, now).await?)
    }

    /// Goes on with an event that was in the log before it came again. `false` where it is to be tried here.
    pub(super) async fn go_on(
        &self,
        names: &QueueNames,
        due: &Due<'_>,
        delivery: &Delivery,
    ) -> Handled<bool> {
        let Progress {
            state,
            next_attempt_at,
            body_until,
            row,
        } = delivery.progress;
        if state != DeliveryState::Pending {
            return Ok(true);
        }
        let now = self.clock.now();
        let at = next_attempt_at.unwrap_or(now);
        if delivery.attempts.is_empty() {
            // It was claimed, and nobody has said what came of it.
            if now < at && self.known_to_be_taken(due).is_none() {
                return Err(Stuck::Claimed);
            }
            return Ok(false);
        }
        let tried = u32::try_from(delivery.attempts.len()).unwrap_or(u32::MAX);
        let made = row.made.unwrap_or(tried);
        let due = Due {
            asked_at: row.asked_at,
            ..*due
        };
        self.put_off(names, &due, Next { at, made }, body_until.is_some())
            .await?;
        Ok(true)
    }

    /// Claims an attempt that may be somebody else's as well: a message of the retry queue may be there twice, and one that has
    /// come before may have been tried. Where nothing can be stored, nothing is sent so over and over. The first attempt in
    /// the line is nobody else's, and costs nothing here.
    pub(super) async fn claim(&self, due: &Due<'_>, data: &Data) -> Handled {
        let now = whole_milliseconds(self.clock.now());
        let (row, until) = (due.row(due.made), now + CLAIMED);
        let is_ours = match due.known {
            Some(read) => self.deliveries.claim(read, row, until).await?,
            None if due.is_again => {
                let progress = Progress {
                    state: DeliveryState::Pending,
                    next_attempt_at: Some(until),
                    body_until: None,
                    row,
                };
                let claimed = Delivery::claimed(due.event, data.message(), now, progress);
                self.deliveries.record(&claimed).await?
            }
            None => true,
        };
        if is_ours { Ok(()) } else { Err(Stuck::Claimed) }
    }
}
