//! The retry queue: events that are due again, and what is left of webhooks that were deleted.

use chrono::{DateTime, Utc};
use shared::domain::delivery::{Body, Delivery, DeliveryState, Errand, Progress, Retry};
use shared::domain::payload;
use shared::ids::DeliveryId;
use shared::queue::{QueueNames, Received};
use shared::storage::deliveries::whole_milliseconds;
use tracing::{debug, info};

use super::dispatch::{Handled, Stuck};
use super::parties::Asked;
use super::send::Due;
use super::state::WebhooksState;

/// Whose turn it is: a message's row of attempts, held against its delivery.
struct Turn {
    /// Its row: see [`Row::asked_at`](shared::domain::delivery::Row::asked_at).
    asked_at: DateTime<Utc>,
    /// Whether that row begins with this attempt, whatever became of the event before.
    is_new: bool,
    /// How many of its attempts are over.
    made: u32,
}

impl Turn {
    /// `None` where a later row has begun. A message of a version that knew of no rows is of the delivery's, unless it begins
    /// one; and that version raised the count in its messages alone.
    fn of(retry: &Retry, delivery: &Delivery) -> Option<Self> {
        let row = delivery.progress.row;
        let asked_at = match retry.asked_at {
            Some(asked_at) => asked_at,
            None if retry.attempt == 0 => whole_milliseconds(retry.due_at),
            None => row.asked_at,
        };
        if asked_at < row.asked_at {
            return None;
        }
        let is_new = asked_at > row.asked_at;
        let is_first = row.asked_at == DateTime::UNIX_EPOCH;
        let made = match row.made {
            _ if is_new => 0,
            None => retry.attempt,
            Some(made) if retry.asked_at.is_none() && is_first => made.max(retry.attempt),
            Some(made) => made,
        };
        Some(Self {
            asked_at,
            is_new,
            made,
        })
    }

    /// How many are over when its delivery says that it is tried later.
    fn made_by_now(&self, retry: &Retry, delivery: &Delivery) -> u32 {
        match delivery.progress.row.made {
            Some(_) => self.made.max(1),
            None => retry.attempt.saturating_add(1),
        }
    }
}

impl WebhooksState {
    /// Does what a message of the retry queue asks for.
    pub(super) async fn errand(&self, names: &QueueNames, message: &Received) -> Handled {
        match payload::decode(&message.body).map_err(Stuck::of_payload)? {
            Errand::Retry(retry) => Box::pin(self.retry(names, retry)).await,
            errand @ Errand::Forget { .. } => self.forget(names, errand).await,
        }
    }

    /// Sends an event again, once it is due. Its delivery says whether that is still to be done: the message may be there twice.
    async fn retry(&self, names: &QueueNames, retry: Retry) -> Handled {
        let now = self.clock.now();
        if now < retry.due_at {
            return self.queue_retry(names, retry).await;
        }
        let id = DeliveryId::of(retry.id);
        let asked = Asked::Retry(retry.webhook);
        let finding = async { Ok::<_, Stuck>(self.deliveries.find(retry.instance, id, now).await?) };
        let (parties, delivery) =
            tokio::try_join!(self.parties((retry.subscription, retry.instance), asked), finding,)?;
        let parties = parties.filter(|(webhook, _)| asked.is_about(webhook));
        let (Some((webhook, instance)), Some(delivery)) = (parties, delivery) else {
            self.let_go(retry.instance, retry.id).await;
            return Ok(());
        };
        let Some(turn) = Turn::of(&retry, &delivery) else {
            debug!(instance.id = %retry.instance, event.id = %retry.id, "a row of attempts ends: another one has begun");
            return Ok(());
        };
        let Progress {
            state,
            next_attempt_at,
            body_until,
            ..
        } = delivery.progress;
        match state {
            DeliveryState::Succeeded => return Ok(()),
            DeliveryState::Failed if !turn.is_new => return Ok(()),
            DeliveryState::Pending if !turn.is_new && next_attempt_at.is_some_and(|at| now < at) => {
                // It is being tried, or that was done by somebody who could not say so.
                let later = Retry {
                    attempt: turn.made_by_now(&retry, &delivery),
                    asked_at: Some(turn.asked_at),
                    due_at: next_attempt_at.unwrap_or(now),
                    ..retry
                };
                return self.queue_retry(names, later).await;
            }
            DeliveryState::Pending | DeliveryState::Failed | DeliveryState::Unknown => {}
        }
        if !webhook.enabled {
            info!(instance.id = %retry.instance, event.id = %retry.id, "an event waits for a webhook that is switched off");
            return self.give_up(&delivery, body_until).await;
        }
        let event = match retry.body {
            Body::Here(event) => Ok(Some(*event)),
            Body::Kept => self.kept(retry.instance, retry.id).await,
        };
        let event = match event {
            Ok(Some(event)) => event,
            Ok(None) => return self.give_up(&delivery, None).await,
            Err(stuck) => return self.stuck(&delivery, stuck).await,
        };
        let due = Due {
            event: &event,
            webhook: &webhook,
            instance: &instance,
            asked_at: turn.asked_at,
            made: turn.made,
            known: Some(&delivery),
            is_again: true,
        };
        match self.send(names, due).await {
            Ok(()) => Ok(()),
            Err(Stuck::NoPlace) => match self.after_wait(&due, &delivery) {
                Some(next) => self.put_off(names, &due, next, body_until.is_some()).await,
                None => self.give_up(&delivery, body_until).await,
            },
            Err(stuck) => self.stuck(&delivery, stuck).await,
        }
    }

    /// A retry that cannot be done: where it never can it is set aside, and its log is not to say that it waits.
    async fn stuck(&self, delivery: &Delivery, stuck: Stuck) -> Handled {
        if matches!(stuck, Stuck::Never(_)) {
            self.give_up(delivery, None).await?;
        }
        Err(stuck)
    }

    /// Notes that an event is not tried any more. Where it is kept somebody may ask for it.
    async fn give_up(&self, delivery: &Delivery, body_until: Option<DateTime<Utc>>) -> Handled {
        let progress = Progress {
            state: DeliveryState::Failed,
            next_attempt_at: None,
            body_until,
            row: delivery.progress.row,
        };
        self.deliveries
            .set_progress(delivery.instance, delivery.id, &progress)
            .await?;
        Ok(())
    }
}
