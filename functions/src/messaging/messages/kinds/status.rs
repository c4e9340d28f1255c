//! `POST /api/messages/status`: what an account shows its contacts for a day.
//!
//! It is a send like any other, but that nobody is named to whom it goes. So it has an extractor of its own, and none of the
//! options that are about a chat.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request as HttpRequest, State};
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
use crate::endpoint::{Argument, Endpoint};
use crate::http::{ApiError, Code, Fields, JsonBody, Timestamp, is_form};
use crate::messaging::MessagingState;
use crate::messaging::idempotency::IdempotencyKey;
use crate::messaging::messages::accept::{Accepted, Outgoing, accept};
use crate::messaging::messages::options::{self, GivenOptions};
use crate::messaging::messages::sending::Sender;
use crate::messaging::messages::{form, legible};
use crate::openapi::{Operation, Tag};

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
    /// When it is to be shown: within 30 days. At once where it is not there.
    #[schema(value_type = Option<Timestamp>)]
    scheduled_at: Option<String>,
    /// Until when it is worth sending: 3 days after it is due at most, 24 hours where it is not there.
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Option<String>,
    #[schema(schema_with = options::reference_schema)]
    reference: Option<String>,
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
    file::nullable()
        .min_length(Some(1))
        .max_length(Some(MAX_SENT))
        .pattern(Some(legible::PATTERN))
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
        .errors(&[
            Code::InstanceNotConnected,
            Code::QuotaExceeded,
            Code::QueueFull,
            Code::NotFound,
        ])
}

pub async fn handler(
    State(state): State<MessagingState>,
    caller: Sender,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    Posted { request, bytes }: Posted,
) -> Result<Accepted, ApiError> {
    let now = state.clock.now();
    let mut fields = Fields::default();
    let kind = KINDS.into_iter().find(|kind| request.own.kind == kind.as_str());
    if let Some(kind) = kind {
        request.require_type(kind)?;
    }
    let own = &request.own;
    let given = GivenOptions::of_status(
        own.scheduled_at.clone(),
        own.expires_at.clone(),
        own.reference.clone(),
    );
    let content = kind.and_then(|kind| content(kind, request, &mut fields));
    if kind.is_none() {
        let known = KINDS.map(Kind::as_str).join(", ");
        fields.fault("kind", format!("must be one of {known}"));
    }
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
    let Some(content) = content else {
        return Err(fields.error());
    };
    let status = Content::Status(Status {
        status: Box::new(content),
    });
    let outgoing = Outgoing {
        to: Recipient::Status,
        known: Some(Acquaintance::stranger(&Recipient::Status)),
        said: status.into(),
        options,
        idempotency_key,
        body: bytes,
        revokes: None,
    };
    Box::pin(accept(&state, &caller.grant, &caller.subscription, outgoing, now)).await
}

/// What it shows; `None`, with faults noted, where that is not whole.
fn content(kind: Kind, request: WithFile<Request>, fields: &mut Fields) -> Option<Content> {
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

/// The body, as JSON or as a form.
pub struct Posted {
    request: WithFile<Request>,
    bytes: Bytes,
}

impl FromRequest<MessagingState> for Posted {
    type Rejection = ApiError;

    async fn from_request(request: HttpRequest, state: &MessagingState) -> Result<Self, ApiError> {
        if !is_form(request.headers()) {
            let JsonBody { value, bytes } = JsonBody::from_request(request, state).await?;
            return Ok(Self {
                request: value,
                bytes,
            });
        }
        let (json, file) = form::read::<WithFile<Request>>(request).await?;
        let JsonBody { value, bytes } = JsonBody::<WithFile<Request>>::parse(json)?;
        Ok(Self {
            request: value.with_part(file.clone()),
            bytes: form::asked(bytes, file.as_ref()),
        })
    }
}

impl Argument<MessagingState> for Posted {
    fn describe(operation: &mut Operation) {
        <JsonBody<WithFile<Request>> as Argument<MessagingState>>::describe(operation);
    }
}
