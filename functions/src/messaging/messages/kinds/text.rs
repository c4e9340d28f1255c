//! `POST /api/messages/text`.

use serde::Deserialize;
use shared::domain::content::{Content, MAX_SENT, Text};
use utoipa::ToSchema;
use utoipa::openapi::Object;

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
    /// Whether a preview of the page is shown that the text's first link leads to. It is so where it is not there. The page is
    /// fetched when the text is sent, within 5 seconds; one that cannot be had holds nothing up, and the text goes out
    /// without a preview.
    #[schema(value_type = bool, required = false, default = true)]
    link_preview: Option<bool>,
}

fn text_schema() -> Object {
    legible::schema(MAX_SENT).examples(["Hello from Waxwing"]).build()
}

pub fn endpoint() -> Endpoint<MessagingState> {
    sending::endpoint("/api/messages/text", "sendText", "Sends a text", handler)
}

pub async fn handler(sending: Sending<Request>) -> Result<Accepted, ApiError> {
    sending.accept(content).await
}

fn content(own: Request, fields: &mut Fields) -> Content {
    legible::require(fields, "text", &own.text, MAX_SENT);
    Content::Text(Text::with_preview(own.text, own.link_preview.unwrap_or(true)))
}
