//! Answers a request whose idempotency key came before.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::account::Subscription;
use shared::domain::instance::Instance;
use shared::domain::message::{MessageRecord, State};
use shared::domain::person::Acquaintance;
use shared::ids::{InstanceId, MessageId};

use super::accept::{Accepted, Outgoing, prepare};
use super::enqueue::{Queued, enqueue};
use super::files::Kept;
use super::scheduling;
use super::settle;
use super::view::AcceptedView;
use crate::http::{ApiError, Reply, log};
use crate::messaging::MessagingState;
use crate::messaging::idempotency::Earlier;

/// How long after it came the first request with an idempotency key may still be at work.
const AT_WORK: TimeDelta = TimeDelta::seconds(5);

/// How long after its first request a message may be sent to the queue again at no risk: the queue still remembers
/// every earlier job of it, and drops another. A minute less than [`shared::queue::DEDUPLICATION_WINDOW`], for clocks
/// that differ.
const DROPPED_WITHIN: TimeDelta = TimeDelta::minutes(4);

/// The pauses, in milliseconds, between two looks for the record of a request that may still be at work.
const LOOKS: [u64; 5] = [25, 50, 100, 200, 400];

/// The record that an earlier request with the same idempotency key has made. A request that came a moment ago may
/// still be at work, and is waited for: going on beside it costs its work once more.
pub async fn record_of_first(
    state: &MessagingState,
    instance: InstanceId,
    id: MessageId,
    now: DateTime<Utc>,
) -> Result<Option<MessageRecord>, ApiError> {
    let mut looks = LOOKS.iter();
    loop {
        let found = state.messages.get(instance, id).await?;
        let pause = looks.next().filter(|_| now - id.created_at() < AT_WORK);
        let (None, Some(pause)) = (&found, pause) else {
            return Ok(found);
        };
        tokio::time::sleep(Duration::from_millis(*pause)).await;
    }
}

/// Answers a request that came before. Its record alone does not tell that the first run reached the queue, so a
/// message that is not sent yet is queued again. While the queue remembers the first job, it drops this one. Later it
/// is one more job, which takes a place in the shard. So it waits for room there; once it is in, the key says so, and
/// no other follows. The daemon sends a message once, however many jobs it has. Of a message that is due later the
/// entry is put again. One that was due is `queued` by a daemon, which has its job.
pub async fn replay(
    state: &MessagingState,
    subscription: &Subscription,
    instance: &Instance,
    record: MessageRecord,
    outgoing: Outgoing,
    known: Earlier,
    now: DateTime<Utc>,
) -> Result<Accepted, ApiError> {
    let to = Acquaintance {
        person: record.person.clone(),
        chat: record.chat.clone(),
        on_whatsapp: None,
        looked_up: None,
        // The record's number is WhatsApp's.
        spellings: outgoing.to.phone().map(str::to_owned).into_iter().collect(),
    };
    let answer = Accepted {
        reply: Reply::accepted(AcceptedView::new(&record)),
        is_replay: true,
    };
    let waits = match record.state {
        State::Scheduled => record.scheduled_at.is_some(),
        State::Queued => record.scheduled_at.is_none() && !known.is_queued,
        _ => false,
    };
    if waits && record.counted_by.is_some() && !record.is_shared {
        // The first run may be at work, and may find that it has to take the message back.
        settle::go_by(state, &record).await?;
    }
    if let (State::Scheduled, Some(at)) = (record.state, record.scheduled_at) {
        let prepared = prepare(state, instance, record.id, &to, outgoing, record.created_at).await;
        let Some((job, file)) = unless_refused(prepared)? else {
            return Ok(answer);
        };
        scheduling::put(state, subscription.id, instance, &job, at).await?;
        settle_file(state, file).await;
    } else if waits {
        let may_be_another = now - record.id.created_at() >= DROPPED_WITHIN;
        if may_be_another {
            state.backlog.shards.require_room(instance)?;
        }
        let key = outgoing.idempotency_key.clone();
        let prepared = prepare(state, instance, record.id, &to, outgoing, record.created_at).await;
        let Some((job, file)) = unless_refused(prepared)? else {
            return Ok(answer);
        };
        let sends = state.queue_names(instance.network)?.sends(instance.shard.0);
        match enqueue(state, &sends, &job).await {
            Queued::In => settle_file(state, file).await,
            // It stays as the first run left it, for the next retry.
            Queued::NotIn(error) | Queued::Unknown(error) => return Err(error.into()),
        }
        if may_be_another {
            state.backlog.shards.note_sent(instance);
            if let Some(key) = key
                && let Err(error) = state
                    .idempotency
                    .note_queued(instance.id, &key, record.id, now)
                    .await
            {
                log::went_wrong(&error.into(), "a replayed message may be queued once more");
            }
        }
    }
    Ok(answer)
}

/// What was prepared for a message that is accepted already. `None` where its file was taken away meanwhile: there is nothing to
/// send again then, and the first answer stands.
fn unless_refused<T>(prepared: Result<T, ApiError>) -> Result<Option<T>, ApiError> {
    match prepared {
        Ok(prepared) => Ok(Some(prepared)),
        Err(error) if error.code().status().is_client_error() => Ok(None),
        Err(error) => Err(error),
    }
}

async fn settle_file(state: &MessagingState, file: Option<Kept>) {
    if let Some(file) = file {
        file.settle(state).await;
    }
}
