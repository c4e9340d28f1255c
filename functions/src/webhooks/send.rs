//! One attempt to send an event, and what follows from it.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use shared::domain::delivery::{
    Attempt, AttemptFault, Body, Delivery, DeliveryState, Errand, Progress, Retry,
};
use shared::domain::event::{Data, Event, Told, Whose};
use shared::domain::instance::Instance;
use shared::domain::payload;
use shared::domain::webhook::{DisabledReason, Webhook};
use shared::fault;
use shared::ids::DeliveryId;
use shared::queue::{MAX_DELAY, OutgoingMessage, QueueNames};
use shared::sealed;
use shared::storage::deliveries::whole_milliseconds;
use shared::storage::webhooks;
use shared::telemetry::chain;
use tracing::{debug, info, warn};

use super::courier::{Answer, Letter, Missed, Tried};
use super::health;
use super::plan;
use super::road::{Handled, Stuck};
use super::signing;
use super::state::WebhooksState;

/// An event that is to be sent now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due<'a> {
    /// The event.
    pub event: &'a Event,
    /// Where it goes.
    pub webhook: &'a Webhook,
    /// Whose it is.
    pub instance: &'a Instance,
    /// How many attempts of this row were made before.
    pub made: u32,
    /// Whether its delivery is in the log already.
    pub is_known: bool,
    /// Until when it is in the bucket, where it is.
    pub kept_until: Option<DateTime<Utc>>,
}

/// How an attempt ended.
enum End {
    /// The endpoint has the event.
    Taken,
    /// It wants no more.
    Gone,
    /// It has not taken it, and has answered this, if anything.
    Failed(Option<Answer>),
    /// Nothing was sent: the breaker is open until then.
    Closed(DateTime<Utc>),
}

impl WebhooksState {
    /// Sends an event once, and stores what follows.
    pub(super) async fn send(&self, names: &QueueNames, due: Due<'_>) -> Handled {
        let (data, body) = self.told(&due).await?;
        let (attempt, end) = match self.known_to_be_taken(&due) {
            Some(attempt) => (attempt, End::Taken),
            None => self.attempt(&due, body).await?,
        };
        match end {
            End::Taken => self.taken(&due, &data, attempt).await,
            End::Gone => {
                self.switch_off(due.webhook, DisabledReason::Gone).await?;
                self.failed(names, &due, &data, attempt, None).await
            }
            End::Closed(until) => {
                let next = self.next(&due, Some(until));
                self.failed(names, &due, &data, attempt, next).await
            }
            End::Failed(answer) => {
                let now = self.clock.now();
                let is_over = self.note_failure(due.webhook, answer.as_ref(), now).await?;
                let asked = answer.and_then(|answer| answer.retry_after);
                let next = if is_over {
                    None
                } else {
                    self.next(&due, asked.map(|wait| now + wait))
                };
                self.failed(names, &due, &data, attempt, next).await
            }
        }
    }

    /// Goes on with an event that was in the log before it came again. `false` where it was not.
    pub(super) async fn go_on(&self, names: &QueueNames, due: &Due<'_>) -> Handled<bool> {
        let (event, now) = (due.event, self.clock.now());
        let found = self
            .deliveries
            .find(event.instance, DeliveryId::of(event.id), now)
            .await?;
        let Some(delivery) = found else {
            return Ok(false);
        };
        if delivery.progress.state == DeliveryState::Pending {
            let made = u32::try_from(delivery.attempts.len()).unwrap_or(u32::MAX);
            let at = delivery.progress.next_attempt_at.unwrap_or(now);
            let kept_until = delivery.progress.body_until;
            self.put_off(names, &Due { kept_until, ..*due }, made, at).await?;
        }
        Ok(true)
    }

    /// What the event tells, and the body that tells it.
    async fn told(&self, due: &Due<'_>) -> Handled<(Data, Bytes)> {
        let event = due.event;
        let data: Value = sealed::open(&self.sealer, event.instance, &event.id, &event.data)
            .await
            .map_err(|error| Stuck::of_sealed("its data", error))?;
        let data = Data::read(event.kind, data)
            .map_err(|_| Stuck::Never(format!("its data is none of `{}`", event.kind)))?;
        let told = Told {
            id: event.id,
            kind: event.kind,
            timestamp: event.timestamp,
            instance: Whose::of(due.instance),
            data: data.told(),
        };
        let body = serde_json::to_vec(&told).expect("what is told is plain data");
        Ok((data, body.into()))
    }

    async fn attempt(&self, due: &Due<'_>, body: Bytes) -> Handled<(Attempt, End)> {
        let (event, webhook) = (due.event, due.webhook);
        let began = self.clock.now();
        if webhook.health.is_open(began) {
            let until = webhook.health.open_until.unwrap_or(began);
            return Ok((not_made(began), End::Closed(until)));
        }
        // What is set of a webhook is not the message's: it may be mended.
        let confidential = webhooks::open(&self.sealer, webhook)
            .await
            .map_err(|error| Stuck::Now(error.into()))?;
        let _place = self.rooms.enter(webhook.instance).await.ok_or(Stuck::NoPlace)?;
        if let Some(until) = self.is_closed_to(webhook).await? {
            return Ok((not_made(self.clock.now()), End::Closed(until)));
        }
        let began = self.clock.now();
        let signed = signing::headers(event.id, &body, confidential.signing(began), began)
            .map_err(|error| Stuck::Now(error.into()))?;
        let letter = Letter {
            url: webhook.url.as_str(),
            headers: confidential.headers.iter().collect(),
            signed,
            body,
        };
        let tried = self.courier.deliver(letter, began).await;
        fault::point("after-attempt");
        let (attempt, end) = judged(&tried, began)?;
        self.rooms.note(webhook.instance, matches!(end, End::Taken));
        debug!(
            instance.id = %event.instance,
            event.id = %event.id,
            status = attempt.status,
            took_ms = attempt.took_ms,
            fault = attempt.fault.map(AttemptFault::as_str),
            "tried to deliver an event"
        );
        Ok((attempt, end))
    }

    /// An endpoint has taken an event.
    async fn taken(&self, due: &Due<'_>, data: &Data, attempt: Attempt) -> Handled {
        let progress = Progress {
            state: DeliveryState::Succeeded,
            next_attempt_at: None,
            body_until: None,
        };
        let recorded = self.record(due, data, attempt, progress).await;
        if recorded.is_err() {
            // It comes again, and is not sent again by this process.
            let mut unrecorded = self.unrecorded.lock().expect("no holder panics");
            unrecorded.insert(due.event.id, attempt);
        }
        recorded?;
        if let Err(error) = self.webhooks.note_success(due.webhook).await {
            // The next success notes it.
            warn!(instance.id = %due.event.instance, error = %chain(&error), "could not note that an endpoint does well");
        }
        if due.kept_until.is_some() {
            self.let_go(due.event.instance, due.event.id).await;
        }
        let mut unrecorded = self.unrecorded.lock().expect("no holder panics");
        unrecorded.remove(&due.event.id);
        Ok(())
    }

    /// An event was not taken. It is tried again at `next`, or not at all.
    async fn failed(
        &self,
        names: &QueueNames,
        due: &Due<'_>,
        data: &Data,
        attempt: Attempt,
        next: Option<DateTime<Utc>>,
    ) -> Handled {
        let until = match due.kept_until {
            Some(until) => until,
            None => self.keep(due.event).await?,
        };
        let progress = Progress {
            state: if next.is_some() {
                DeliveryState::Pending
            } else {
                DeliveryState::Failed
            },
            next_attempt_at: next,
            body_until: Some(until),
        };
        self.record(due, data, attempt, progress).await?;
        fault::point("after-failure-record");
        let Some(at) = next else {
            info!(instance.id = %due.event.instance, event.id = %due.event.id, "an event is not delivered");
            return Ok(());
        };
        let due = Due {
            kept_until: Some(until),
            ..*due
        };
        self.put_off(names, &due, due.made + 1, at).await?;
        fault::point("after-retry");
        Ok(())
    }

    /// When an event is tried again that has failed now.
    fn next(&self, due: &Due<'_>, not_before: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
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

    async fn record(&self, due: &Due<'_>, data: &Data, attempt: Attempt, progress: Progress) -> Handled {
        let delivery = Delivery::first(due.event, data.message(), attempt, progress);
        if !due.is_known && self.deliveries.record(&delivery).await? {
            return Ok(());
        }
        // Where it is gone, its webhook is, or its time is over.
        let id = delivery.id;
        self.deliveries
            .add_attempt(due.event.instance, id, &attempt, &progress)
            .await?;
        Ok(())
    }

    /// Notes that an endpoint has failed once more, and answered this, if anything. Answers whether that was once too often, and
    /// its webhook is switched off.
    async fn note_failure(
        &self,
        webhook: &Webhook,
        answer: Option<&Answer>,
        now: DateTime<Utc>,
    ) -> Handled<bool> {
        let until = health::open_until(&webhook.health, answer, now);
        self.webhooks.note_failure(webhook, now, until).await?;
        if health::has_failed_too_long(&webhook.health, now) {
            return self.switch_off(webhook, DisabledReason::FailedTooLong).await;
        }
        Ok(false)
    }

    /// An attempt that went well and could not be recorded, where this process has made one.
    fn known_to_be_taken(&self, due: &Due<'_>) -> Option<Attempt> {
        let mut unrecorded = self.unrecorded.lock().expect("no holder panics");
        unrecorded.get(&due.event.id).copied()
    }
}

/// An attempt that was not made.
fn not_made(at: DateTime<Utc>) -> Attempt {
    Attempt {
        at: whole_milliseconds(at),
        status: None,
        took_ms: 0,
        fault: Some(AttemptFault::Paused),
    }
}

/// What an attempt is in the log, and what follows.
fn judged(tried: &Tried, began: DateTime<Utc>) -> Handled<(Attempt, End)> {
    let (status, fault, end) = match tried.end {
        Ok(answer) if answer.is_success() => (Some(answer.status), None, End::Taken),
        Ok(Answer { status: 410, .. }) => (Some(410), Some(AttemptFault::Gone), End::Gone),
        Ok(answer) => {
            let fault = match answer.status {
                300..=399 => AttemptFault::Redirect,
                _ => AttemptFault::Status,
            };
            (Some(answer.status), Some(fault), End::Failed(Some(answer)))
        }
        Err(missed) => {
            let fault = match missed {
                Missed::Refused(_) => AttemptFault::AddressRefused,
                Missed::Late => AttemptFault::Timeout,
                Missed::Unnamed => AttemptFault::NameNotResolved,
                Missed::Unreached => AttemptFault::ConnectionFailed,
                Missed::Tls => AttemptFault::TlsFailed,
                Missed::Broken => AttemptFault::ConnectionLost,
                Missed::NoHttp => AttemptFault::BadAnswer,
                Missed::Ours => return Err(Stuck::NoPlace),
            };
            (None, Some(fault), End::Failed(None))
        }
    };
    let attempt = Attempt {
        at: whole_milliseconds(began),
        status,
        took_ms: u32::try_from(tried.took.as_millis()).unwrap_or(u32::MAX),
        fault,
    };
    Ok((attempt, end))
}
