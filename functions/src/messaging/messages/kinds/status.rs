//! `POST /api/messages/status`: what an account shows its contacts for a day.
//!
//! It is a send like any other, but that nobody is named to whom it goes. So it has none of the options that are about a chat.

use axum::http::{Method, StatusCode};
use serde::Deserialize;
use shared::domain::content::{Content, MAX_SENT, Media, Status};
use shared::domain::message::Kind;
use shared::domain::person::Acquaintance;
use shared::domain::recipient::Recipient;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::file::{self, WithFile};
use crate::endpoint::Endpoint;
use crate::http::{ApiError, Fields};
use crate::messaging::MessagingState;
use crate::messaging::messages::accept::{self, Accepted, Outgoing, accept};
use crate::messaging::messages::legible;
use crate::messaging::messages::unaddressed::{OrLater, Unaddressed};
use crate::openapi::Tag;

/// What a status may show.
const KINDS: [Kind; 3] = [Kind::Text, Kind::Image, Kind::Video];

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = StatusRequest, example = json!({"kind": "text", "text": "Open until eight today"}))]
pub struct Request {
    #[schema(schema_with = kind_schema)]
    kind: String,
    #[schema(schema_with = text_schema)]
    text: Option<String>,
    #[schema(schema_with = file::caption_schema)]
    caption: Option<String>,
}

fn kind_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(KINDS.map(Kind::as_str)))
        .description(Some(
            "What it shows: a text has `text`, a picture or a video a file and perhaps `caption`",
        ))
        .examples(["text"])
        .build()
}

fn text_schema() -> Object {
    legible::nullable(MAX_SENT)
        .description(Some("The text, of a status that is one"))
        .examples(["Open until eight today"])
        .build()
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::POST, "/api/messages/status", "sendStatus", handler)
        .about(Tag::Messages, "Shows a status update to the account's contacts")
        .details(
            "It goes to those in the phone's address book whom the account's privacy lets see it, for a day, and to the \
             account's own devices. `receipts.of` counts them. `to` names nobody. `202` is a promise: the status is stored \
             durably, and those of one account are sent in their order.",
        )
        .details(file::FORM)
        .status(StatusCode::ACCEPTED)
        .errors(&accept::ERRORS)
}

pub async fn handler(asked: Unaddressed<WithFile<Request>, OrLater>) -> Result<Accepted, ApiError> {
    if let Some(kind) = asked.own().own.kind() {
        asked.own().require_type(kind)?;
    }
    let reach = asked.reach();
    let asked = asked
        .check(|own, part, fields| content(own.with(part, reach), fields))
        .await?;
    let status = Content::Status(Status {
        status: Box::new(asked.own.ok_or_else(ApiError::internal)?),
    });
    let outgoing = Outgoing {
        to: Recipient::Status,
        known: Some(Acquaintance::stranger(&Recipient::Status)),
        said: status.into(),
        options: asked.options,
        idempotency_key: asked.idempotency_key,
        body: asked.bytes,
        revokes: None,
    };
    Box::pin(accept(&asked.state, &asked.caller, outgoing, asked.now)).await
}

impl Request {
    /// What it shows, where that is something that a status may show.
    fn kind(&self) -> Option<Kind> {
        KINDS.into_iter().find(|kind| self.kind == kind.as_str())
    }
}

/// What it shows; `None`, with faults noted, where that is not whole.
fn content(request: WithFile<Request>, fields: &mut Fields) -> Option<Content> {
    let Some(kind) = request.own.kind() else {
        let known = KINDS.map(Kind::as_str).join(", ");
        fields.fault("kind", format!("must be one of {known}"));
        return None;
    };
    if kind == Kind::Text {
        let own = request.without_file(fields, "must not be there: a text has no file");
        if own.caption.is_some() {
            fields.fault("caption", "must not be there: what a text says is its `text`");
        }
        let Some(text) = own.text else {
            fields.fault("text", "is missing");
            return None;
        };
        legible::require(fields, "text", &text, MAX_SENT);
        return Some(Content::text(text));
    }
    let (media, own) = request.file(fields);
    if own.text.is_some() {
        fields.fault(
            "text",
            "must not be there: what is said below a file is its `caption`",
        );
    }
    file::check_caption(fields, own.caption.as_ref());
    let media = Media {
        text: own.caption,
        ..media
    };
    Some(match kind {
        Kind::Video => Content::Video(media),
        _ => Content::Image(media),
    })
}
