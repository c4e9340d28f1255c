//! `PATCH /api/messages/{message}`: another text in place of a message's.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use shared::domain::content::{Content, EDIT_WINDOW, Edit, Kind, MAX_SENT};
use shared::domain::message::{DEFAULT_EXPIRY, Direction, MessageRecord};
use shared::ids::MessageId;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::about::{self, Saying};
use super::accept::Accepted;
use super::legible;
use super::options::{self, GivenOptions, Options};
use crate::endpoint::Endpoint;
use crate::http::{ApiError, Code, Fields, JsonBody, Path, Timestamp};
use crate::messaging::MessagingState;
use crate::messaging::idempotency::IdempotencyKey;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = EditRequest, example = json!({"text": "Hello again from Waxwing"}))]
pub struct Request {
    #[schema(schema_with = text_schema)]
    text: String,
    /// Until when it is worth sending: 3 days at most, 24 hours where it is not there.
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Option<String>,
    #[schema(schema_with = options::reference_schema)]
    reference: Option<String>,
}

fn text_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(MAX_SENT))
        .pattern(Some(legible::PATTERN))
        .examples(["Hello again from Waxwing"])
        .build()
}

pub fn endpoint() -> Endpoint<MessagingState> {
    about::endpoint(
        Method::PATCH,
        "/api/messages/{message}",
        "editMessage",
        "Puts another text in place of a message's",
        handler,
    )
    .details(
        "For texts of the account's own, within the 15 minutes after they were sent in which WhatsApp's apps follow an edit. \
         The edit is a message of its own, with an id and states, and goes out after the one that it is about. It is not sent \
         after these 15 minutes. `CONFLICT` while the message is put off, since the edit would go out before it.",
    )
    .status(StatusCode::ACCEPTED)
    .errors(&[Code::EditWindowClosed])
}

pub async fn handler(
    State(state): State<MessagingState>,
    caller: about::Caller,
    Path(id): Path<MessageId>,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    JsonBody { value, bytes }: JsonBody<Request>,
) -> Result<Accepted, ApiError> {
    let now = state.clock.now();
    let mut fields = Fields::default();
    legible::require(&mut fields, "text", &value.text, MAX_SENT);
    let given = GivenOptions::of(value.expires_at, value.reference);
    let options = given
        .check_since_asked(
            &mut fields,
            &state,
            &caller.grant,
            idempotency_key.as_deref(),
            now,
        )
        .await?;
    fields.finish()?;
    let record = about::find(&state, &caller, id, now).await?;
    let saying = Saying {
        state: &state,
        caller: &caller,
        record: &record,
        idempotency_key,
        now,
    };
    let refusal = match refusal(&record) {
        None => about::refuse_unsayable(&state, &record, now).await?,
        refusal => refusal,
    };
    saying.unless(refusal.or_else(|| too_late(&record, now))).await?;
    let content = Content::Edit(Edit {
        target: saying.target()?,
        text: value.text,
    });
    let options = within_window(options, &record, now);
    saying.accept(content, options, &bytes).await
}

/// What is against an edit of this message, whenever it comes.
fn refusal(record: &MessageRecord) -> Option<ApiError> {
    if record.direction != Direction::Outgoing {
        return Some(about::conflict(
            record,
            "Only messages of the account's own can be edited",
        ));
    }
    if record.kind != Kind::Text {
        let message = format!("{} cannot be edited: only texts can", about::a(record.kind));
        return Some(about::conflict(record, message));
    }
    None
}

/// The refusal of an edit that comes after the time for it.
fn too_late(record: &MessageRecord, now: DateTime<Utc>) -> Option<ApiError> {
    let closed = window_closes(record).filter(|closed| *closed <= now)?;
    let minutes = EDIT_WINDOW.num_minutes();
    let message = format!("WhatsApp lets a text be edited for {minutes} minutes after it was sent");
    let details = json!({"closedAt": Timestamp(closed)});
    Some(ApiError::new(Code::EditWindowClosed, message).with_details(details))
}

/// Until when the message can be edited; `None` where it is not sent yet.
fn window_closes(record: &MessageRecord) -> Option<DateTime<Utc>> {
    record.sent_at.map(|sent| sent + EDIT_WINDOW)
}

/// An edit that waits longer is not worth sending: the apps would ignore it.
fn within_window(options: Options, record: &MessageRecord, now: DateTime<Utc>) -> Options {
    let expires_at = window_closes(record).map_or(options.expires_at, |closes| {
        Some(options.expires_at.unwrap_or(now + DEFAULT_EXPIRY).min(closes))
    });
    Options {
        expires_at,
        ..options
    }
}
