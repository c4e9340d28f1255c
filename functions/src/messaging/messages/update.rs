//! `PATCH /api/messages/{message}`: another text in place of a message's.

use axum::http::{Method, StatusCode};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use shared::domain::content::{Content, EDIT_WINDOW, Edit, Kind, MAX_SENT};
use shared::domain::message::{DEFAULT_EXPIRY, Direction, MessageRecord};
use shared::ids::MessageId;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::about;
use super::accept::Accepted;
use super::legible;
use super::options::Options;
use super::unaddressed::{AtOnce, Unaddressed};
use crate::endpoint::Endpoint;
use crate::http::{ApiError, Code, Fields, Path, Timestamp};
use crate::messaging::MessagingState;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = EditRequest, example = json!({"text": "Hello again from Waxwing"}))]
pub struct Request {
    #[schema(schema_with = text_schema)]
    text: String,
}

fn text_schema() -> Object {
    legible::schema(MAX_SENT)
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

pub async fn handler(asked: Unaddressed<Request, AtOnce, Path<MessageId>>) -> Result<Accepted, ApiError> {
    let asked = asked.check(|own, _, fields| text(own, fields)).await?;
    let record = asked.record().await?;
    let saying = asked.saying(&record);
    let refusal = match refusal(&record) {
        None => about::refuse_unsayable(&asked.state, &record, asked.now).await?,
        refusal => refusal,
    };
    saying
        .unless(refusal.or_else(|| too_late(&record, asked.now)))
        .await?;
    let content = Content::Edit(Edit {
        target: saying.target()?,
        text: asked.own.clone(),
    });
    let options = within_window(asked.options.clone(), &record, asked.now);
    saying.accept(content, options, &asked.bytes).await
}

fn text(own: Request, fields: &mut Fields) -> String {
    legible::require(fields, "text", &own.text, MAX_SENT);
    own.text
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
