//! `POST /api/messages/text`.

use serde::Deserialize;
use serde::de::IgnoredAny;
use shared::domain::content::{Content, MAX_SENT};
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::endpoint::Endpoint;
use crate::http::{ApiError, Fields};
use crate::messaging::MessagingState;
use crate::messaging::messages::accept::Accepted;
use crate::messaging::messages::legible;
use crate::messaging::messages::sending::{self, Sending};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({"text": "Hello from Waxwing"}))]
pub struct Request {
    #[schema(schema_with = text_schema)]
    text: String,
    #[schema(ignore)]
    link_preview: Option<IgnoredAny>,
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
    sending::endpoint("/api/messages/text", "sendText", "Sends a text", handler)
}

pub async fn handler(sending: Sending<Request>) -> Result<Accepted, ApiError> {
    sending.accept(content).await
}

fn content(own: Request, fields: &mut Fields) -> Content {
    legible::require(fields, "text", &own.text, MAX_SENT);
    fields.unserved("linkPreview", own.link_preview.is_some());
    Content::text(own.text)
}
