//! `POST /api/messages/text`.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::domain::content::{Content, MAX_SENT};
use shared::domain::recipient::Recipient;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::accept::{Accepted, Send, accept, asked_at};
use super::idempotency::IdempotencyKey;
use super::legible;
use super::options::GivenOptions;
use crate::endpoint::Endpoint;
use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Code, Fields, JsonBody, Timestamp};
use crate::messaging::MessagingState;
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({
    "to": "15550100001",
    "text": "Hello from Waxwing",
    "reference": "order-4711",
}))]
pub struct Request {
    #[schema(value_type = Recipient)]
    to: String,
    #[schema(schema_with = text_schema)]
    text: String,
    #[schema(ignore)]
    link_preview: Option<IgnoredAny>,
    /// Until when the message is worth sending: 3 days at most, 24 hours where it is not there.
    #[schema(value_type = Option<Timestamp>)]
    expires_at: Option<String>,
    #[schema(schema_with = GivenOptions::reference_schema)]
    reference: Option<String>,
    #[schema(ignore)]
    reply_to: Option<IgnoredAny>,
    #[schema(ignore)]
    mentions: Option<IgnoredAny>,
    #[schema(ignore)]
    scheduled_at: Option<IgnoredAny>,
    #[schema(ignore)]
    typing_ms: Option<IgnoredAny>,
}

fn text_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(MAX_SENT))
        .pattern(Some(legible::PATTERN))
        .examples(["Hello from Waxwing"])
        .build()
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::POST, "/api/messages/text", "sendText", handler)
        .about(Tag::Messages, "Sends a text")
        .details("`202` is a promise: the message is stored durably, and sent in the order of its chat.")
        .status(StatusCode::ACCEPTED)
        .errors(&[
            Code::InstanceNotConnected,
            Code::QuotaExceeded,
            Code::QueueFull,
            Code::NotFound,
            Code::RecipientNotOnWhatsapp,
        ])
}

pub async fn handler(
    State(state): State<MessagingState>,
    caller: KeyCaller<permission::MessagesSend>,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    JsonBody { value, bytes }: JsonBody<Request>,
) -> Result<Accepted, ApiError> {
    let now = state.clock.now();
    let mut fields = Fields::default();
    let to = fields.parse::<Recipient>("to", &value.to);
    if (1..=MAX_SENT).contains(&value.text.chars().count()) {
        fields.check("text", legible::check(&value.text));
    } else {
        fields.fault("text", format!("must have 1 to {MAX_SENT} characters"));
    }
    fields.unserved("linkPreview", value.link_preview.is_some());
    let options = GivenOptions {
        expires_at: value.expires_at,
        reference: value.reference,
        reply_to: value.reply_to,
        mentions: value.mentions,
        scheduled_at: value.scheduled_at,
        typing_ms: value.typing_ms,
    };
    let asked_at = asked_at(&state, &caller.grant, idempotency_key.as_deref(), &options, now).await?;
    let options = options.check(&mut fields, asked_at);
    fields.finish()?;
    let Some(to) = to else {
        return Err(fields.error());
    };
    let send = Send {
        to,
        content: Content::text(value.text),
        options,
        idempotency_key,
        body: bytes,
    };
    Box::pin(accept(&state, &caller.grant, &caller.subscription, send, now)).await
}
