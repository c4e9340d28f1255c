//! What sends have in common that are about another message: which message that is, and how WhatsApp names it. They go the way
//! of every send, in the lane of that message's chat, so none overtakes the message that it is about.

use axum::body::Bytes;
use axum::handler::Handler;
use axum::http::Method;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use shared::domain::content::{Content, Kind, Target};
use shared::domain::message::{Direction, MessageRecord, State};
use shared::domain::person::{Acquaintance, Person};
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;

use super::accept::{self, Accepted, Outgoing, accept};
use super::options::Options;
use super::revoking::{self, Found, Revokes};
use crate::endpoint::{Described, Endpoint};
use crate::http::caller::{KeyCaller, KeyHolder, permission};
use crate::http::{ApiError, Code};
use crate::messaging::MessagingState;
use crate::openapi::Tag;

/// Who may send, on a route that mostly needs no more than the message.
pub type Caller = KeyCaller<permission::MessagesSend>;

/// The endpoint of something that is said about a message.
pub fn endpoint<H, A, T>(
    method: Method,
    path: &'static str,
    id: &'static str,
    summary: &'static str,
    handler: H,
) -> Endpoint<MessagingState>
where
    H: Described<A, MessagingState> + Handler<T, MessagingState>,
    T: 'static,
{
    Endpoint::new(method, path, id, handler)
        .about(Tag::Messages, summary)
        .errors(&accept::ERRORS)
        .errors(&[Code::Conflict])
}

/// A request to say something about a message.
pub struct Saying<'a> {
    /// What it works with.
    pub state: &'a MessagingState,
    /// Who asks.
    pub caller: &'a KeyHolder,
    /// The message, as it was read.
    pub record: &'a MessageRecord,
    /// The request's idempotency key.
    pub idempotency_key: Option<String>,
    /// When it was asked.
    pub now: DateTime<Utc>,
}

/// The message of the caller's instance that a request is about.
pub async fn find(
    state: &MessagingState,
    caller: &KeyHolder,
    id: MessageId,
    now: DateTime<Utc>,
) -> Result<MessageRecord, ApiError> {
    let found = state.messages.get(caller.grant.instance, id).await?;
    let record = found.ok_or_else(|| ApiError::not_found("message"))?;
    Ok(record.as_of(now))
}

impl Saying<'_> {
    /// Goes on where nothing is against it, or where the same was asked and accepted before: that is answered again, whatever
    /// became of the message since.
    pub async fn unless(&self, refusal: Option<ApiError>) -> Result<(), ApiError> {
        let Some(refusal) = refusal else {
            return Ok(());
        };
        let (state, instance) = (self.state, self.caller.grant.instance);
        let Some(key) = &self.idempotency_key else {
            return Err(refusal);
        };
        if let Some(first) = state.idempotency.get(instance, key, self.now).await?
            && state.messages.get(instance, first).await?.is_some()
        {
            return Ok(());
        }
        Err(refusal)
    }

    /// How WhatsApp names the message.
    pub fn target(&self) -> Result<Target, ApiError> {
        let record = self.record;
        if matches!(record.chat, Recipient::Unknown(_)) {
            return Err(conflict(
                record,
                "The message is of a chat that this version does not know",
            ));
        }
        let from_me = record.direction == Direction::Outgoing;
        let whatsapp_id = match (&record.whatsapp_id, record.received_at) {
            (Some(id), _) => id.clone(),
            (None, None) if from_me => record.id.to_whatsapp(),
            _ => return Err(conflict(record, "The message's id at WhatsApp is not kept")),
        };
        let is_of_a_member = !from_me && record.chat.group().is_some();
        Ok(Target {
            whatsapp_id,
            from_me,
            author: if is_of_a_member {
                record.person.clone()
            } else {
                Person::default()
            },
        })
    }

    /// Accepts what is said, in the lane of the message's chat. `body` is the request's, where it has one.
    pub async fn accept(
        self,
        content: Content,
        options: Options,
        body: &Bytes,
    ) -> Result<Accepted, ApiError> {
        self.accept_as(content, options, body, None).await
    }

    /// Accepts what is said; `revokes` where it takes the message back.
    pub async fn accept_as(
        self,
        content: Content,
        options: Options,
        body: &Bytes,
        revokes: Option<Revokes>,
    ) -> Result<Accepted, ApiError> {
        let Self {
            state,
            caller,
            record,
            idempotency_key,
            now,
        } = self;
        let known = Acquaintance {
            person: record.person.clone(),
            ..Acquaintance::stranger(&record.chat)
        };
        let outgoing = Outgoing {
            to: record.chat.clone(),
            known: Some(known),
            said: content.into(),
            options,
            idempotency_key,
            // The message belongs to the request as well, since it is in the path.
            body: [record.id.to_string().as_bytes(), b"\n", body].concat().into(),
            revokes,
        };
        Box::pin(accept(state, caller, outgoing, now)).await
    }
}

/// Why nothing can be said of this message, whatever it is: nobody has it, or nobody has it any more. One read unit where it was
/// taken back.
pub async fn refuse_unsayable(
    state: &MessagingState,
    record: &MessageRecord,
    now: DateTime<Utc>,
) -> Result<Option<ApiError>, ApiError> {
    if let Some(refusal) = refuse_unsent(record) {
        return Ok(Some(refusal));
    }
    let is_revoked = match record.revoked_by {
        Some(by) => matches!(
            revoking::find(state, record.instance, by, now).await?,
            Found::There
        ),
        None => false,
    };
    Ok(is_revoked.then(|| conflict(record, "The message was taken back")))
}

/// Why nobody can have this message, whatever is said of it.
pub fn refuse_unsent(record: &MessageRecord) -> Option<ApiError> {
    refuse_put_off(record).or_else(|| refuse_in_state(record))
}

/// Why nothing can be said of a message that is put off: its job is not in its lane, so what is said of it would go out first.
pub fn refuse_put_off(record: &MessageRecord) -> Option<ApiError> {
    let until = record.put_off_at.filter(|_| record.state == State::Queued)?;
    let time = until.to_rfc3339_opts(SecondsFormat::Millis, true);
    Some(conflict(
        record,
        format!("The message is not sent yet: it is put off until {time}"),
    ))
}

fn refuse_in_state(record: &MessageRecord) -> Option<ApiError> {
    let message = match record.state {
        State::Scheduled => "The message is not sent yet: it is scheduled",
        State::Failed | State::Expired => "The message was not sent",
        State::Cancelled => "The message was taken back before it was sent",
        State::Unknown => "The message is in a state that this version does not know",
        State::Queued | State::Sent | State::Delivered | State::Read | State::Played | State::Received => {
            return None;
        }
    };
    Some(conflict(record, message))
}

/// The message is in no state for this, or of no kind.
pub fn conflict(record: &MessageRecord, message: impl Into<String>) -> ApiError {
    ApiError::new(Code::Conflict, message.into())
        .with_details(json!({"kind": record.kind, "status": record.state}))
}

/// A kind with its article.
pub fn a(kind: Kind) -> String {
    let article = if kind.as_str().starts_with(['a', 'e', 'i', 'o']) {
        "An"
    } else {
        "A"
    };
    match kind {
        Kind::Unknown => "A message of an unknown kind".to_owned(),
        kind => format!("{article} {kind}"),
    }
}
