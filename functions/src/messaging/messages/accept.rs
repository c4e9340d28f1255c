//! Accepts a message: a 202 is a promise, and the job in the shard's queue is what keeps it.
//!
//! In order, with what each step costs:
//!
//! 1. The idempotency key is claimed (1 write unit), while the recipient's entry in the directory of people is read (half a
//!    read unit). The instance came with the API key. It is read here (half a read unit) where it did not, as in a key's
//!    first request in a process, or where that was a second ago or more.
//! 2. A file is put into the bucket, unless it is small (see [`super::files`]). The content is sealed.
//! 3. The message is counted against the month's quota (1 write unit). This comes before it is accepted, so that a
//!    crash counts one too many and never one too few. The count is given back where too many of the instance's
//!    messages wait.
//! 4. The job goes to the shard's queue, while the record is put (1 write unit).
//!
//! A message that is due later goes to the due index instead: see [`super::scheduling`].
//!
//! Once the job is in, the answer is 202; the daemon makes a missing record. If it is not in, or nobody knows,
//! [`super::settle`] ends it. A retry with the same idempotency key goes on under the same message id, by which the
//! queue drops the second job. It may be at work beside the first request, for a file takes its time, and counts the message as
//! well. The record says whose count stands, and the other request gives its own back
//! ([`shared::storage::messages::Counted`]).

mod job;

use axum::body::Bytes;
use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use serde_json::json;
use shared::auth::api_key::Grant;
use shared::domain::account::Subscription;
use shared::domain::content::{Kind, Said};
use shared::domain::instance::{Instance, Status};
use shared::domain::job::SendJob;
use shared::domain::message::MessageRecord;
use shared::domain::person::Acquaintance;
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId, RequestId};
use shared::queue::QueueName;
use shared::storage::counters::Quota;
use shared::storage::idempotency::Asked;
use shared::trace;
use tracing::Instrument as _;

pub use self::job::prepare;
use super::enqueue::enqueue;
use super::fingerprint;
use super::options::{GivenOptions, Options};
use super::replay::{record_of_first, replay};
use super::revoking::Revokes;
use super::scheduling;
use super::settle::Written;
use super::view::AcceptedView;
use crate::http::caller::KeyHolder;
use crate::http::{ApiError, Code, Replayable, Reply, RequestContext, Timestamp, log};
use crate::messaging::MessagingState;
use crate::messaging::idempotency::{self, Claimed};

/// A message to send that is well-formed.
pub struct Outgoing {
    /// Whom to.
    pub to: Recipient,
    /// Who that is, where it need not be looked up.
    pub known: Option<Acquaintance>,
    /// What it says.
    pub said: Said,
    /// The common options.
    pub options: Options,
    /// The request's idempotency key.
    pub idempotency_key: Option<String>,
    /// The request's body, by which a repetition is told from another request.
    pub body: Bytes,
    /// The message that it takes back, where it is a revoke.
    pub revokes: Option<Revokes>,
}

/// What accepting a message may answer, whatever its kind.
pub const ERRORS: [Code; 4] = [
    Code::InstanceNotConnected,
    Code::QuotaExceeded,
    Code::QueueFull,
    Code::NotFound,
];

/// The answer to a send.
pub type Accepted = Replayable<AcceptedView>;

/// When the message was first asked for: at `now`, or earlier if the request came before. That matters, and is looked
/// up (one read unit), only for a message whose time is over by now.
pub async fn asked_at(
    state: &MessagingState,
    grant: &Grant,
    idempotency_key: Option<&str>,
    options: &GivenOptions,
    now: DateTime<Utc>,
) -> Result<DateTime<Utc>, ApiError> {
    let Some(key) = idempotency_key.filter(|_| options.is_over(now)) else {
        return Ok(now);
    };
    let known = state.idempotency.get(grant.instance, key, now).await?;
    Ok(known.map_or(now, MessageId::created_at))
}

/// The answer to the request with this body that was accepted under this key before; `None` where there was none.
pub async fn accepted_before(
    state: &MessagingState,
    instance: InstanceId,
    idempotency_key: Option<&str>,
    body: &[u8],
    now: DateTime<Utc>,
) -> Result<Option<Accepted>, ApiError> {
    let Some(key) = idempotency_key else {
        return Ok(None);
    };
    let Some(first) = state.idempotency.first(instance, key, now).await? else {
        return Ok(None);
    };
    let record = state.messages.get(instance, first.message).await?;
    let same = record.filter(|record| !record.was_not_accepted() && first.had(&bytes_of(record.kind, body)));
    Ok(same.map(|record| Accepted {
        reply: Reply::accepted(AcceptedView::new(&record)),
        is_replay: true,
    }))
}

/// What tells one request from another under the same key, beside its meaning. The kind belongs to it as well, since it is in
/// the path.
fn bytes_of(kind: Kind, body: &[u8]) -> Vec<u8> {
    [kind.as_str().as_bytes(), b"\n", body].concat()
}

/// Accepts a message of the caller's instance.
pub async fn accept(
    state: &MessagingState,
    caller: &KeyHolder,
    outgoing: Outgoing,
    now: DateTime<Utc>,
) -> Result<Accepted, ApiError> {
    let KeyHolder {
        grant, subscription, ..
    } = caller;
    let (claimed, instance, to, ()) = tokio::try_join!(
        claim(state, grant, &outgoing, now),
        find_instance(state, caller, now),
        async {
            match &outgoing.known {
                Some(known) => Ok(known.clone()),
                None => Ok(state.people.get(grant.instance, &outgoing.to, now).await?),
            }
        },
        async {
            state
                .backlog
                .shards
                .look(state, grant.network, grant.shard, now)
                .await;
            Ok(())
        },
    )?;
    let Claimed { id, earlier } = claimed;
    if let Some(known) = earlier
        && let Some(record) = record_of_first(state, grant.instance, id, now).await?
    {
        if let Some(key) = outgoing
            .idempotency_key
            .as_ref()
            .filter(|_| record.was_not_accepted())
        {
            // The request before this one is about to free its key, or could not.
            idempotency::release(&state.idempotency, grant.instance, key, id).await;
            return Err(ApiError::unavailable(1));
        }
        return replay(state, subscription, &instance, record, outgoing, known, now).await;
    }
    // From here on a known request is one whose first run was cut short.
    require_reachable(&instance)?;
    require_present(&to, now)?;
    let sends = state.queue_names(instance.network)?.sends(instance.shard.0);
    if outgoing.options.scheduled_at.is_none() {
        state.backlog.shards.require_room(&instance)?;
        state.backlog.refuse_while_full(&instance, now).await?;
    }
    let asked = Asking {
        id,
        to,
        outgoing,
        at: now,
    };
    // The caller may hang up. What was begun is finished all the same, so that nothing stays counted.
    let committing = commit(state.clone(), subscription.clone(), instance, sends, asked);
    let committing = match RequestContext::current() {
        Some(context) => context.around(committing).left_future(),
        None => committing.right_future(),
    };
    let committing = trace::within(trace::current(), committing);
    let record = tokio::spawn(committing.in_current_span())
        .await
        .map_err(|error| ApiError::internal().caused_by(error))??;
    log::message_accepted(id);
    Ok(Accepted {
        reply: Reply::accepted(AcceptedView::new(&record)),
        is_replay: false,
    })
}

/// A message that nothing is against so far.
struct Asking {
    id: MessageId,
    to: Acquaintance,
    outgoing: Outgoing,
    at: DateTime<Utc>,
}

/// Puts a message's file into its place, and accepts it. Where it is certainly not accepted, by whatever request, its file goes
/// again.
async fn commit(
    state: MessagingState,
    subscription: Subscription,
    instance: Instance,
    sends: QueueName,
    asked: Asking,
) -> Result<MessageRecord, ApiError> {
    let state = &state;
    let Asking { id, to, outgoing, at } = asked;
    let idempotency_key = outgoing.idempotency_key.clone();
    // Without a key no other request can be at work with the message.
    let counted_by = idempotency_key.is_some().then(|| RequestId::new(at));
    let (mut job, file) = prepare(state, &instance, id, &to, outgoing, at).await?;
    // No record is made of the job of a message that is due later: it was never accepted without one.
    job.counted_by = counted_by.filter(|_| job.scheduled_at.is_none());
    let written = Written {
        subscription: subscription.id,
        record: MessageRecord {
            counted_by,
            ..job.record()
        },
        idempotency_key,
        file,
    };
    match job.scheduled_at {
        Some(at) => scheduling::commit(state, &subscription, &instance, &job, at, &written).await?,
        None => count_and_queue(state, &subscription, &instance, &sends, &job, &written).await?,
    }
    if let Some(file) = &written.file {
        file.settle(state).await;
    }
    Ok(written.record)
}

/// Counts a message, and writes its job and its record.
async fn count_and_queue(
    state: &MessagingState,
    subscription: &Subscription,
    instance: &Instance,
    sends: &QueueName,
    job: &SendJob,
    written: &Written,
) -> Result<(), ApiError> {
    let counted_at = job.accepted_at;
    let accepted = match count(state, subscription, instance.id, counted_at).await {
        Ok(accepted) => accepted,
        Err(refused) => return Err(written.refuse(state, refused).await),
    };
    if let Err(refused) = state.backlog.admit(instance, accepted, counted_at).await {
        written.give_back(state).await;
        return Err(written.refuse(state, refused).await);
    }
    let storing = state.messages.put_counted(&written.record);
    let (queued, stored) = tokio::join!(enqueue(state, sends, job), storing);
    state.backlog.shards.note_sent(instance);
    written.settle(state, queued, stored).await
}

/// The instance as it was a moment ago; as it is now, where that would refuse the message.
async fn find_instance(
    state: &MessagingState,
    caller: &KeyHolder,
    now: DateTime<Utc>,
) -> Result<Instance, ApiError> {
    let recent = caller.recent_instance(&state.instances, now).await?;
    if let Some(instance) = recent.filter(|instance| !instance.refuses_sends()) {
        return Ok(instance);
    }
    let (subscription, instance) = (caller.subscription.id, caller.grant.instance);
    let found = state.instances.get(subscription, instance).await?;
    found.ok_or_else(|| ApiError::not_found("instance"))
}

/// The message's id, and what is known of the earlier request with the same key that fixed it.
async fn claim(
    state: &MessagingState,
    grant: &Grant,
    outgoing: &Outgoing,
    now: DateTime<Utc>,
) -> Result<Claimed<MessageId>, ApiError> {
    let offered = outgoing.revokes.and_then(|revokes| revokes.earlier());
    let offered = offered.unwrap_or_else(|| MessageId::new(now));
    let Some(key) = &outgoing.idempotency_key else {
        return Ok(Claimed::first(offered));
    };
    let bytes = bytes_of(outgoing.said.content.kind(), &outgoing.body);
    let meaning = fingerprint::meaning(&outgoing.to, &outgoing.said, &outgoing.options)
        .map_err(|error| ApiError::internal().caused_by(error))?;
    let asked = Asked {
        bytes: &bytes,
        meaning: &meaning,
        form: fingerprint::FORM,
        by_meaning: false,
    };
    let keys = &state.idempotency;
    let claimed = idempotency::claim(keys, grant.instance, key, asked, offered, now).await?;
    match &outgoing.revokes {
        Some(revokes) => revokes.settle(state, grant.instance, claimed).await,
        None => Ok(claimed),
    }
}

/// Refuses a message for which waiting leads to nothing.
fn require_reachable(instance: &Instance) -> Result<(), ApiError> {
    if !instance.refuses_sends() {
        return Ok(());
    }
    let status = instance.observed.status;
    let message = if instance.account.is_none() {
        "The instance is not paired with a WhatsApp account: connect it and scan its QR code"
    } else {
        match status {
            Status::LoggedOut => "The instance was unlinked by its phone: connect it and scan a QR code",
            Status::Banned => "WhatsApp has banned the instance's number",
            _ => "The instance was disconnected: connect it first",
        }
    };
    Err(ApiError::new(Code::InstanceNotConnected, message).with_details(json!({"status": status})))
}

/// Refuses a recipient who was looked up a moment ago and not found.
fn require_present(to: &Acquaintance, now: DateTime<Utc>) -> Result<(), ApiError> {
    if !to.is_known_to_be_absent(now) {
        return Ok(());
    }
    Err(ApiError::new(
        Code::RecipientNotOnWhatsapp,
        "WhatsApp was asked a moment ago, and does not know the recipient",
    ))
}

/// Counts the message. Answers how many the instance has accepted this month, with this one.
async fn count(
    state: &MessagingState,
    subscription: &Subscription,
    instance: InstanceId,
    now: DateTime<Utc>,
) -> Result<u64, ApiError> {
    let limit = subscription.tier.messages_per_month();
    let counted = state
        .counters
        .count_against_quota(subscription.id, instance, limit, now)
        .await?;
    match counted {
        Quota::Counted { of_instance } => Ok(of_instance),
        Quota::Exceeded { renews_at } => Err(quota_exceeded(limit, renews_at)),
    }
}

/// The answer to a message for which the month has no room.
pub fn quota_exceeded(limit: u32, renews_at: DateTime<Utc>) -> ApiError {
    let day = renews_at.date_naive();
    let message = format!("The month's {limit} messages are used up; the quota renews on {day}");
    let details = json!({"limit": limit, "renewsAt": Timestamp(renews_at)});
    ApiError::new(Code::QuotaExceeded, message).with_details(details)
}
