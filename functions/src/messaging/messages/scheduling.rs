//! Accepts a message that is due later. Its promise is its entry in the due index, by which the daemon that holds the
//! shard finds it in time; no job is queued before.
//!
//! The record is stored first, and the entry after it. So an entry without a record was never accepted, and a daemon
//! drops it; and whoever was answered 202 finds the message and may take it back. What becomes of a message whose entry
//! is perhaps not stored is settled as for one whose job is perhaps not queued: see [`super::settle`].

use std::time::Duration;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use serde_json::json;
use shared::domain::account::Subscription;
use shared::domain::instance::Instance;
use shared::domain::job::{Job, Query, SendJob};
use shared::domain::network::Network;
use shared::domain::payload;
use shared::domain::shard::{Shard, lane};
use shared::fault;
use shared::ids::SubscriptionId;
use shared::queue::{OutgoingMessage, QueueError};
use shared::storage::StorageError;
use shared::storage::counters::Quota;
use shared::storage::messages::Counted;
use shared::storage::schedule::{Entry, QueuedLater};
use shared::trace;

use super::accept::quota_exceeded;
use super::settle::{Written, go_by};
use crate::http::{ApiError, Code, log};
use crate::messaging::MessagingState;

/// A message that is due this soon is told of to the shard's owner, who looks at the due index once a minute besides.
const NUDGED_WITHIN: TimeDelta = TimeDelta::minutes(3);

/// How long a nudge may take. The owner finds a message without it too, within a minute.
const NUDGE_DEADLINE: Duration = Duration::from_secs(2);

/// Counts a message that is due at `at`, and stores its record and its entry.
pub async fn commit(
    state: &MessagingState,
    subscription: &Subscription,
    instance: &Instance,
    job: &SendJob,
    at: DateTime<Utc>,
    written: &Written,
) -> Result<(), ApiError> {
    if let Err(refused) = count(state, subscription, instance, job, at).await {
        return Err(written.refuse(state, refused).await);
    }
    let counted = match state.messages.put_counted(&written.record).await {
        Ok(counted) => counted,
        Err(error) => {
            // There is no entry of this request, so nothing is sent for it.
            written.undo(state).await;
            return Err(error.into());
        }
    };
    if counted == Counted::ByAnother {
        // There is no entry of this request yet, so its count stands for nothing, whatever becomes of the other.
        written.give_back(state).await;
        go_by(state, &written.record).await?;
    }
    fault::point("after-scheduled-record");
    match put(state, subscription.id, instance, job, at).await {
        Ok(()) => {}
        // The message is the other request's, and so is what becomes of it.
        Err(error) if counted == Counted::ByAnother => return Err(error.into()),
        Err(error @ StorageError::TooLarge(_)) => {
            written.undo(state).await;
            let message = "The message is too large to be scheduled: send it when it is due";
            return Err(ApiError::new(Code::PayloadTooLarge, message).caused_by(error));
        }
        Err(error) if error.nature().is_permanent() => {
            written.undo(state).await;
            return Err(error.into());
        }
        // A retry under the same key puts the entry again; the record is there.
        Err(error) if written.idempotency_key.is_some() => return Err(error.into()),
        Err(error) => return written.withdraw(state, error).await,
    }
    fault::point("after-scheduled");
    Ok(())
}

/// Puts the entry of a message that was accepted before, or perhaps was not.
pub async fn put(
    state: &MessagingState,
    subscription: SubscriptionId,
    instance: &Instance,
    job: &SendJob,
    at: DateTime<Utc>,
) -> Result<(), StorageError> {
    // What is done when the job is due belongs to the trace of this request.
    let job = SendJob {
        trace: trace::current(),
        ..job.clone()
    };
    let entry = Entry {
        at,
        message: job.message,
        instance: job.instance,
        subscription: Some(subscription),
        expires_at: job.expires_at,
        job: Some(QueuedLater {
            group: lane(job.instance, job.chat()),
            body: payload::encode(&Job::Send(job)),
        }),
    };
    state
        .schedule
        .put(instance.network, instance.shard, &entry)
        .await?;
    if at - state.clock.now() < NUDGED_WITHIN {
        nudge(state, instance.network, instance.shard, at).await;
    }
    Ok(())
}

/// Has the owner of a shard look when a message is due.
pub async fn nudge(state: &MessagingState, network: Network, shard: Shard, at: DateTime<Utc>) {
    let Ok(names) = state.queue_names(network) else {
        return;
    };
    let queries = names.queries(shard.0);
    let nudge = OutgoingMessage::standard(payload::encode(&Query::Due { at }));
    let sending = state.queue.send(&queries, nudge);
    let sent = tokio::time::timeout(NUDGE_DEADLINE, sending).await;
    if let Err(error) = sent.unwrap_or(Err(QueueError::Timeout { operation: "send" })) {
        log::went_wrong(
            &error.into(),
            "the shard could not be told of a scheduled message",
        );
    }
}

/// Counts a message against the month's quota, and against what its instance may schedule for a day.
async fn count(
    state: &MessagingState,
    subscription: &Subscription,
    instance: &Instance,
    job: &SendJob,
    at: DateTime<Utc>,
) -> Result<(), ApiError> {
    let (counters, limit) = (&state.counters, state.schedule_limit);
    let per_month = subscription.tier.messages_per_month();
    let (quota, has_room) = tokio::join!(
        counters.count_later_against_quota(subscription.id, per_month, job.accepted_at),
        counters.count_scheduled(instance.id, at, limit),
    );
    let is_counted = matches!(quota, Ok(Quota::Counted { .. }));
    let has_taken_room = matches!(has_room, Ok(true));
    if is_counted && has_taken_room {
        return Ok(());
    }
    if is_counted && let Err(error) = counters.give_back_later(subscription.id, job.accepted_at).await {
        log::went_wrong(&error.into(), "a message that was not accepted stays counted");
    }
    if has_taken_room && let Err(error) = counters.give_back_scheduled(instance.id, at).await {
        log::went_wrong(
            &error.into(),
            "a message that was not accepted stays counted for its day",
        );
    }
    if let Quota::Exceeded { renews_at } = quota? {
        return Err(quota_exceeded(per_month, renews_at));
    }
    has_room?;
    let day = at.date_naive();
    let message = format!(
        "The instance has scheduled {limit} messages for {day} (UTC), with those taken back, and may schedule no more for it: \
         choose another day"
    );
    // Nothing makes room on that day.
    let ends = (day + Days::new(1)).and_time(NaiveTime::MIN).and_utc();
    let seconds = u32::try_from((ends - job.accepted_at).num_seconds()).unwrap_or(u32::MAX);
    Err(ApiError::new(Code::QueueFull, message)
        .with_details(json!({"limit": limit, "waiting": limit, "scope": "schedule", "day": day}))
        .retry_after(seconds))
}
