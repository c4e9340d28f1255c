//! The retry queue: events that are due again, and what is left of webhooks that were deleted.

use chrono::{DateTime, Utc};
use shared::domain::delivery::{Body, Delivery, DeliveryState, Errand, Progress, Retry};
use shared::domain::payload;
use shared::domain::webhook::Webhook;
use shared::ids::DeliveryId;
use shared::queue::{QueueNames, Received};
use tracing::info;

use super::road::{Handled, Stuck};
use super::send::Due;
use super::state::WebhooksState;

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
        // A webhook that was made anew gets nothing that happened before it.
        let is_its = |webhook: &Webhook| webhook.created_at <= retry.webhook;
        let finding = async { Ok(self.deliveries.find(retry.instance, id, now).await?) };
        let (parties, delivery) = tokio::try_join!(
            self.parties((retry.subscription, retry.instance), |webhook| {
                is_its(webhook) && webhook.enabled
            }),
            finding,
        )?;
        let parties = parties.filter(|(webhook, _)| is_its(webhook));
        let (Some((webhook, instance)), Some(delivery)) = (parties, delivery) else {
            self.let_go(retry.instance, retry.id).await;
            return Ok(());
        };
        // Somebody asked for it, whatever became of it before.
        let is_asked_for = retry.attempt == 0;
        let Progress {
            state,
            next_attempt_at,
            body_until,
        } = delivery.progress;
        match state {
            DeliveryState::Succeeded => return Ok(()),
            DeliveryState::Failed if !is_asked_for => return Ok(()),
            DeliveryState::Pending if !is_asked_for && next_attempt_at.is_some_and(|at| now < at) => {
                // This attempt was made, by somebody who could not say so.
                let due_at = next_attempt_at.unwrap_or(now);
                let attempt = retry.attempt.saturating_add(1);
                return self
                    .queue_retry(
                        names,
                        Retry {
                            attempt,
                            due_at,
                            ..retry
                        },
                    )
                    .await;
            }
            DeliveryState::Pending | DeliveryState::Failed | DeliveryState::Unknown => {}
        }
        if !webhook.enabled {
            info!(instance.id = %retry.instance, event.id = %retry.id, "an event waits for a webhook that is switched off");
            return self.give_up(&delivery, body_until).await;
        }
        let event = match retry.body {
            Body::Here(event) => *event,
            Body::Kept => match self.kept(retry.instance, retry.id).await? {
                Some(event) => event,
                None => return self.give_up(&delivery, None).await,
            },
        };
        let due = Due {
            event: &event,
            webhook: &webhook,
            instance: &instance,
            made: retry.attempt,
            is_known: true,
            kept_until: body_until,
        };
        let sent = self.send(names, due).await;
        if matches!(sent, Err(Stuck::Never(_))) {
            // It is set aside, and its log is not to say that it waits.
            self.give_up(&delivery, None).await?;
        }
        sent
    }

    /// Notes that an event is not tried any more. Where it is kept somebody may ask for it.
    async fn give_up(&self, delivery: &Delivery, body_until: Option<DateTime<Utc>>) -> Handled {
        let progress = Progress {
            state: DeliveryState::Failed,
            next_attempt_at: None,
            body_until,
        };
        self.deliveries
            .set_progress(delivery.instance, delivery.id, &progress)
            .await?;
        Ok(())
    }
}
