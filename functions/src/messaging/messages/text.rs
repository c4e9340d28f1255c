//! `POST /api/messages/text`.

use axum::extract::State;
use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::domain::job::Content;
use shared::domain::message::{Kind, MAX_TEXT};
use shared::domain::recipient::Recipient;

use super::accept::{Accepted, Send, accept};
use super::idempotency::IdempotencyKey;
use super::options::GivenOptions;
use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Fields, JsonBody};
use crate::state::AppState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    to: String,
    text: String,
    link_preview: Option<IgnoredAny>,
    expires_at: Option<String>,
    reference: Option<String>,
    reply_to: Option<IgnoredAny>,
    mentions: Option<IgnoredAny>,
    scheduled_at: Option<IgnoredAny>,
    typing_ms: Option<IgnoredAny>,
}

pub async fn handler(
    State(state): State<AppState>,
    caller: KeyCaller<permission::MessagesSend>,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    JsonBody { value, bytes }: JsonBody<Request>,
) -> Result<Accepted, ApiError> {
    let now = state.clock.now();
    let mut fields = Fields::default();
    let to = fields.parse::<Recipient>("to", &value.to);
    if !(1..=MAX_TEXT).contains(&value.text.chars().count()) {
        fields.fault("text", format!("must have 1 to {MAX_TEXT} characters"));
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
    let options = options.check(&mut fields, now);
    fields.finish()?;
    let Some(to) = to else {
        return Err(fields.error());
    };
    let send = Send {
        to,
        kind: Kind::Text,
        content: Content::Text { text: value.text },
        options,
        idempotency_key,
        body: bytes,
    };
    accept(&state, &caller.grant, &caller.subscription, send, now).await
}
