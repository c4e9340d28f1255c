//! `POST /api/messages/voice`.

use serde::Deserialize;
use shared::domain::content::Content;
use shared::domain::message::Kind;
use utoipa::ToSchema;

use super::file::{self, WithFile};
use crate::endpoint::Endpoint;
use crate::http::{ApiError, Fields};
use crate::messaging::MessagingState;
use crate::messaging::messages::accept::Accepted;
use crate::messaging::messages::sending::{self, Sending};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"url": "https://example.com/note.ogg"}))]
pub struct Request {}

pub fn endpoint() -> Endpoint<MessagingState> {
    sending::endpoint(
        "/api/messages/voice",
        "sendVoice",
        "Sends a voice message",
        handler,
    )
    .details(file::FORM)
}

pub async fn handler(sending: Sending<WithFile<Request>>) -> Result<Accepted, ApiError> {
    file::accept(sending, Kind::Voice, content).await
}

fn content(request: WithFile<Request>, fields: &mut Fields) -> Content {
    let (media, Request {}) = request.file(fields);
    Content::Voice(media)
}
