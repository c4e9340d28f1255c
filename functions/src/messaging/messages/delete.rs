//! `DELETE /api/messages/{message}`: takes a message back, from its queue or from everyone who has it.
//!
//! A message that waits is cancelled by a change of its state, under the condition that it still waits. A daemon reads the
//! state before it sends, and stores `sent` afterwards under a condition as well. So of the two one is first. Where the message
//! was on the wire just then, the daemon finds that out and revokes it (`daemon/src/shard/recall.rs`).

use axum::body::Bytes;
use axum::extract::State;
use axum::http::Method;
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::domain::content::{Content, Kind, Revoke};
use shared::domain::counting;
use shared::domain::media::may_have_file;
use shared::domain::message::{Change, Direction, FailureCode, MessageRecord, State as Stage};
use shared::ids::MessageId;
use shared::storage::messages::Transition;
use shared::storage::schedule::Entry;
use utoipa::ToSchema;

use super::about::{self, Saying};
use super::files::{self, Owner};
use super::options::Options;
use super::revoking::Revokes;
use super::scheduling;
use super::view::AcceptedView;
use crate::endpoint::Endpoint;
use crate::http::caller::KeyHolder;
use crate::http::{ApiError, Path, Replayable, Reply, log};
use crate::messaging::MessagingState;
use crate::messaging::idempotency::IdempotencyKey;

/// A message that is taken back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeletedMessage)]
pub struct Response {
    id: MessageId,
    /// Always `true`.
    deleted: bool,
    /// The message of kind `revoke` that takes it back from whoever has it; `null` where it was not sent.
    revoke: Option<AcceptedView>,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    about::endpoint(
        Method::DELETE,
        "/api/messages/{message}",
        "deleteMessage",
        "Takes a message back",
        handler,
    )
    .details(
        "One that waits to be sent is `cancelled`; it stays counted for the month. One that was sent is taken back from everyone, \
         by a message of its own whose states tell how that goes; WhatsApp's apps follow it for some two days. To ask again answers \
         the same revoke, and makes another one only where that one has failed or expired. In a group the \
         account takes back what others wrote where it is an admin; where it is none, the revoke fails with `REFUSED_FORBIDDEN`.",
    )
}

pub async fn handler(
    State(state): State<MessagingState>,
    caller: about::Caller,
    Path(id): Path<MessageId>,
    IdempotencyKey(idempotency_key): IdempotencyKey,
) -> Result<Replayable<Response>, ApiError> {
    let now = state.clock.now();
    let mut record = about::find(&state, &caller, id, now).await?;
    if matches!(record.state, Stage::Queued | Stage::Scheduled) {
        record = cancel(&state, &caller, record, now).await?;
    }
    if record.state == Stage::Cancelled {
        return Ok(deleted(id, None, false));
    }
    let has_key = idempotency_key.is_some();
    let revokes = Revokes::look(&state, &record, now).await?;
    let saying = Saying {
        state: &state,
        caller: &caller,
        record: &record,
        // Without a key of the caller's the revoke has one of its own: it is one message however often it is asked for.
        idempotency_key: Some(idempotency_key.unwrap_or_else(|| revokes.key())),
        now,
    };
    saying.unless(refusal(&record)).await?;
    let content = Content::Revoke(Revoke {
        target: saying.target()?,
    });
    let accepted = saying
        .accept_as(content, Options::default(), &Bytes::new(), Some(revokes))
        .await?;
    let is_replay = has_key && accepted.is_replay;
    Ok(deleted(id, Some(accepted.reply.into_data()), is_replay))
}

fn deleted(id: MessageId, revoke: Option<AcceptedView>, is_replay: bool) -> Replayable<Response> {
    let reply = Reply::ok(Response {
        id,
        deleted: true,
        revoke,
    });
    Replayable { reply, is_replay }
}

/// Cancels a message that waits. Answers its record as it is now: sent, where that was first.
async fn cancel(
    state: &MessagingState,
    caller: &KeyHolder,
    record: MessageRecord,
    now: DateTime<Utc>,
) -> Result<MessageRecord, ApiError> {
    let change = Change {
        state: Stage::Cancelled,
        at: now,
        failure: None,
    };
    let instance = record.instance;
    match state.messages.change(instance, record.id, &change).await? {
        Transition::Made {
            before,
            kind,
            record: now_is,
        } => {
            let put_off_at = now_is.as_ref().and_then(|now_is| now_is.put_off_at);
            let mut counters = counting::moved(kind, before, change.state, record.waits_since(), now);
            counters.extend(counting::back(before, put_off_at, record.waits_since(), now));
            if let Err(error) = state.counters.count(instance, &counters, now).await {
                // Where the instance seems full, the queue and the records set that right.
                log::went_wrong(&error.into(), "a cancelled message seems to wait");
            }
            let scheduled_at = record.scheduled_at.filter(|_| before == Stage::Scheduled);
            if let Some(at) = scheduled_at.or(put_off_at) {
                call_in(state, caller, &record, at, scheduled_at.is_none(), now).await;
            }
            delete_file(state, &record).await;
            Ok(record.changed(&change))
        }
        Transition::AlreadyPast { record: Some(now_is) } => Ok(*now_is),
        Transition::AlreadyPast { record: None } => Err(ApiError::internal()),
        Transition::Missing => Err(ApiError::not_found("message")),
    }
}

/// Deletes the file of a message that was taken back. Its times tell where that is.
async fn delete_file(state: &MessagingState, record: &MessageRecord) {
    let Some(expires_at) = record.expires_at.filter(|_| may_have_file(record.kind)) else {
        return;
    };
    let owner = Owner {
        instance: record.instance,
        message: record.id,
        accepted_at: record.created_at,
        expires_at,
        is_alone: false,
    };
    files::delete_of(state, owner).await;
}

/// Has the shard's owner tell at once of a message that was to come to its lane at this time. It would find that out by itself
/// within a minute. One that was put off may have gone out before: its owner knows, and revokes it then.
async fn call_in(
    state: &MessagingState,
    caller: &KeyHolder,
    record: &MessageRecord,
    at: DateTime<Utc>,
    was_put_off: bool,
    now: DateTime<Utc>,
) {
    let Some(expires_at) = record.expires_at else {
        return;
    };
    let entry = Entry {
        at,
        message: record.id,
        instance: record.instance,
        subscription: Some(caller.subscription.id),
        expires_at,
        job: None,
    };
    let (schedule, network, shard) = (&state.schedule, caller.grant.network, caller.grant.shard);
    match schedule.call_back(network, shard, entry, was_put_off, now).await {
        Ok(()) => scheduling::nudge(state, network, shard, now).await,
        Err(error) => log::went_wrong(&error.into(), "a cancelled message stays in the due index"),
    }
}

/// What is against taking this message back from those who have it.
fn refusal(record: &MessageRecord) -> Option<ApiError> {
    let refuse = |message: &str| Some(about::conflict(record, message));
    match record.kind {
        Kind::Reaction => return refuse("A reaction is taken back by an empty one"),
        Kind::Edit => return refuse("An edit cannot be taken back: edit the message again"),
        Kind::Revoke => return refuse("A revoke cannot be taken back"),
        _ => {}
    }
    if record.direction == Direction::Incoming {
        return if record.chat.group().is_some() {
            None
        } else {
            refuse("Of a chat with one person only one's own messages can be taken back")
        };
    }
    // A failure that is our guess says that the message may have arrived.
    let may_have_arrived = record
        .failure
        .as_ref()
        .filter(|failure| failure.code != FailureCode::AccountChanged.as_str())
        .is_some_and(|failure| !failure.retryable && FailureCode::is_text_of_a_guess(&failure.code));
    if may_have_arrived {
        return None;
    }
    about::refuse_unsent(record)
}
