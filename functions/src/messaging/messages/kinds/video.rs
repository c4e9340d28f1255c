//! `POST /api/messages/video`.

use serde::Deserialize;
use shared::domain::content::{Content, Media};
use shared::domain::message::Kind;
use utoipa::ToSchema;

use super::file::{self, WithFile};
use crate::endpoint::Endpoint;
use crate::http::{ApiError, Fields};
use crate::messaging::MessagingState;
use crate::messaging::messages::accept::Accepted;
use crate::messaging::messages::sending::{self, Sending};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({"url": "https://example.com/cat.mp4", "caption": "Look at this"}))]
pub struct Request {
    #[schema(schema_with = file::caption_schema)]
    caption: Option<String>,
    /// Whether the recipient's app shows it once.
    #[schema(value_type = bool, required = false)]
    view_once: Option<bool>,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    sending::endpoint("/api/messages/video", "sendVideo", "Sends a video", handler).details(file::FORM)
}

pub async fn handler(sending: Sending<WithFile<Request>>) -> Result<Accepted, ApiError> {
    file::accept(sending, Kind::Video, content).await
}

fn content(request: WithFile<Request>, fields: &mut Fields) -> Content {
    let (media, own) = request.file(fields);
    file::check_caption(fields, own.caption.as_ref());
    Content::Video(Media {
        text: own.caption,
        view_once: own.view_once.unwrap_or_default(),
        ..media
    })
}
