//! One attempt to send an event, and what follows from it.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::Value;
use shared::domain::delivery::{Attempt, AttemptFault, Delivery, DeliveryState, Progress, Row};
use shared::domain::event::{Data, Event, Told, Whose};
use shared::domain::instance::Instance;
use shared::domain::webhook::{Confidential, DisabledReason, Webhook};
use shared::fault;
use shared::queue::QueueNames;
use shared::sealed;
use shared::storage::webhooks;
use shared::telemetry::chain;
use shared::trace::{self, Kind, Span, TraceContext};
use tracing::{debug, info, warn};

use super::dispatch::{Handled, Stuck};
use super::health;
use super::retries::Next;
use super::signing;
use super::state::WebhooksState;
use super::transport::{Answer, Request};
use super::verdict::{End, judged, not_made};

/// An event that is to be sent now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due<'a> {
    /// The event.
    pub event: &'a Event,
    /// Where it goes.
    pub webhook: &'a Webhook,
    /// Whose it is.
    pub instance: &'a Instance,
    /// Its row of attempts: see [`Row::asked_at`].
    pub asked_at: DateTime<Utc>,
    /// How many attempts of that row were made before.
    pub made: u32,
    /// Its delivery as it was read, where it is in the log already.
    pub known: Option<&'a Delivery>,
    /// Whether its message has come before.
    pub is_again: bool,
}

impl Due<'_> {
    /// Its row of which so many attempts are over.
    pub(super) const fn row(&self, made: u32) -> Row {
        Row {
            asked_at: self.asked_at,
            made: Some(made),
        }
    }

    /// Until when it is in the bucket, where it is.
    fn kept_until(&self) -> Option<DateTime<Utc>> {
        self.known.and_then(|delivery| delivery.progress.body_until)
    }
}

impl WebhooksState {
    /// Sends an event once, and stores what follows.
    pub(super) async fn send(&self, names: &QueueNames, due: Due<'_>) -> Handled {
        let (data, body) = self.told(&due).await?;
        let (attempt, end) = match self.known_to_be_taken(&due) {
            Some(attempt) => (attempt, End::Taken),
            None => self.attempt(&due, &data, body).await?,
        };
        self.settle(names, &due, &data, attempt, end).await
    }

    /// Puts an event off that its endpoint was too slow for.
    pub(super) async fn leave_line(&self, names: &QueueNames, due: Due<'_>) -> Handled {
        let (data, _) = self.told(&due).await?;
        self.claim(&due, &data).await?;
        let now = self.clock.now();
        self.settle(names, &due, &data, not_made(now), End::Closed(now))
            .await
    }

    /// Stores what follows from an attempt.
    async fn settle(
        &self,
        names: &QueueNames,
        due: &Due<'_>,
        data: &Data,
        attempt: Attempt,
        end: End,
    ) -> Handled {
        match end {
            End::Taken => self.taken(due, data, attempt).await,
            End::Gone => {
                self.switch_off(due.webhook, DisabledReason::Gone).await?;
                self.failed(names, due, data, attempt, None).await
            }
            End::Closed(until) => {
                let next = self.after_pause(due, until);
                self.failed(names, due, data, attempt, next).await
            }
            End::Failed(answer) => {
                let now = self.clock.now();
                let is_over = self.note_failure(due.webhook, answer.as_ref(), now).await?;
                let asked = answer.and_then(|answer| answer.retry_after);
                let next = if is_over {
                    None
                } else {
                    self.next(due, asked.map(|wait| now + wait))
                };
                self.failed(names, due, data, attempt, next).await
            }
        }
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
            kind: event.kind.as_str(),
            timestamp: event.timestamp,
            instance: Whose::of(due.instance),
            data: data.told(),
        };
        let body = serde_json::to_vec(&told).expect("what is told is plain data");
        Ok((data, body.into()))
    }

    async fn attempt(&self, due: &Due<'_>, data: &Data, body: Bytes) -> Handled<(Attempt, End)> {
        let webhook = due.webhook;
        let began = self.clock.now();
        if webhook.health.is_open(began) {
            self.claim(due, data).await?;
            let until = webhook.health.open_until.unwrap_or(began);
            return Ok((not_made(began), End::Closed(until)));
        }
        // What is set of a webhook is not the message's: it may be mended.
        let confidential = webhooks::open(&self.sealer, webhook)
            .await
            .map_err(|error| Stuck::Now(error.into()))?;
        let _slot = self.slots.acquire(webhook.instance).await.ok_or(Stuck::NoPlace)?;
        let place = self.slow_place(webhook).await?;
        let made = self.connect(due, data, body, &confidential).await;
        let took = made.as_ref().map_or(0, |(attempt, _)| attempt.took_ms);
        self.note_pace(webhook, place, Duration::from_millis(took.into()))
            .await;
        made
    }

    /// The attempt itself, unless the breaker is open.
    async fn connect(
        &self,
        due: &Due<'_>,
        data: &Data,
        body: Bytes,
        confidential: &Confidential,
    ) -> Handled<(Attempt, End)> {
        let (event, webhook) = (due.event, due.webhook);
        self.claim(due, data).await?;
        if let Some(until) = self.is_closed_to(webhook).await? {
            return Ok((not_made(self.clock.now()), End::Closed(until)));
        }
        let began = self.clock.now();
        let mut signed = signing::headers(event.id, &body, confidential.signing(began), began)
            .map_err(|error| Stuck::Now(error.into()))?;
        let span = begun(due);
        let has_its_own = |(name, _): (&str, &str)| name == trace::context::HEADER;
        // An endpoint is told of a trace only where it is recorded.
        if let Some(context) = span.context().filter(TraceContext::is_sampled)
            && !confidential.headers.iter().any(has_its_own)
        {
            signed.push((trace::context::HEADER, context.to_string()));
        }
        let request = Request {
            url: webhook.url.as_str(),
            headers: confidential.headers.iter().collect(),
            signed,
            body,
        };
        let tried = self.transport.send(request, began).await;
        fault::point("after-attempt");
        let judged = judged(&tried, began);
        ended(span, judged.as_ref().ok().map(|(attempt, _)| attempt));
        let (attempt, end) = judged?;
        self.slots.note(webhook.instance, matches!(end, End::Taken));
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
            row: due.row(due.made.saturating_add(1)),
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
        // It may have been kept by an attempt of which nothing else could be stored.
        if due.is_again {
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
        next: Option<Next>,
    ) -> Handled {
        let until = match due.kept_until() {
            Some(until) => until,
            None => self.keep(due.event).await?,
        };
        let made = next.map_or(due.made.saturating_add(1), |next| next.made);
        let progress = Progress {
            state: if next.is_some() {
                DeliveryState::Pending
            } else {
                DeliveryState::Failed
            },
            next_attempt_at: next.map(|next| next.at),
            body_until: Some(until),
            row: due.row(made),
        };
        self.record(due, data, attempt, progress).await?;
        fault::point("after-failure-record");
        let Some(next) = next else {
            info!(instance.id = %due.event.instance, event.id = %due.event.id, "an event is not delivered");
            return Ok(());
        };
        self.put_off(names, due, next, true).await?;
        fault::point("after-retry");
        Ok(())
    }

    async fn record(&self, due: &Due<'_>, data: &Data, attempt: Attempt, progress: Progress) -> Handled {
        let delivery = Delivery::first(due.event, data.message(), attempt, progress);
        let was_claimed = due.known.is_some() || due.is_again;
        if !was_claimed && self.deliveries.record(&delivery).await? {
            return Ok(());
        }
        let (instance, id) = (due.event.instance, delivery.id);
        let added = self.deliveries.add_attempt(instance, id, &attempt, &progress);
        // One that is known and gone has lost its webhook, or its time is over.
        if !added.await? && due.known.is_none() {
            self.deliveries.record(&delivery).await?;
        }
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
        let pause = health::pause(&webhook.health, answer, now);
        self.webhooks.note_failure(webhook, now, pause).await?;
        if health::has_failed_too_long(&webhook.health, now) {
            return self.switch_off(webhook, DisabledReason::FailedTooLong).await;
        }
        Ok(false)
    }

    /// An attempt that went well and could not be recorded, where this process has made one.
    pub(super) fn known_to_be_taken(&self, due: &Due<'_>) -> Option<Attempt> {
        let mut unrecorded = self.unrecorded.lock().expect("no holder panics");
        unrecorded.get(&due.event.id).copied()
    }
}

/// Begins the span of an attempt. The span has neither the URL nor what the event tells.
fn begun(due: &Due<'_>) -> Span {
    let name = || "POST webhook".to_owned();
    let mut span = trace::tracer().begin(Kind::Client, due.event.trace, name);
    span.say("http.request.method", "POST");
    span.show("waxwing.event.id", &due.event.id);
    span.show("waxwing.event.type", &due.event.kind);
    span.say("waxwing.delivery.attempt", due.made.saturating_add(1));
    span
}

/// Ends it as the attempt ended; `None` where this process could not make it.
fn ended(mut span: Span, attempt: Option<&Attempt>) {
    let Some(attempt) = attempt else {
        return span.fail("not_made");
    };
    if let Some(status) = attempt.status {
        span.say("http.response.status_code", status);
    }
    if let Some(fault) = attempt.fault {
        span.fail(fault.as_str());
    }
}
