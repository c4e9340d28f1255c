//! `POST /api/messages/document`.

use serde::Deserialize;
use shared::domain::content::{Content, File, MAX_FILE_NAME, Media};
use shared::domain::message::Kind;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::file::{self, WithFile};
use crate::endpoint::Endpoint;
use crate::http::{ApiError, Fields};
use crate::messaging::MessagingState;
use crate::messaging::messages::accept::Accepted;
use crate::messaging::messages::legible;
use crate::messaging::messages::sending::{self, Sending};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({
    "base64": "SGVsbG8gZnJvbSBXYXh3aW5n",
    "mimeType": "text/plain",
    "fileName": "hello.txt",
    "caption": "Look at this",
}))]
pub struct Request {
    #[schema(schema_with = file_name_schema)]
    file_name: Option<String>,
    #[schema(schema_with = file::caption_schema)]
    caption: Option<String>,
}

fn file_name_schema() -> Object {
    legible::nullable(MAX_FILE_NAME)
        .description(Some(
            "What the recipient sees and saves it as; by default the last part of the URL's path",
        ))
        .examples(["invoice.pdf"])
        .build()
}

pub fn endpoint() -> Endpoint<MessagingState> {
    sending::endpoint(
        "/api/messages/document",
        "sendDocument",
        "Sends a file of any type",
        handler,
    )
    .details(file::FORM)
}

pub async fn handler(sending: Sending<WithFile<Request>>) -> Result<Accepted, ApiError> {
    file::accept(sending, Kind::Document, content).await
}

fn content(request: WithFile<Request>, fields: &mut Fields) -> Content {
    let (media, own) = request.file(fields);
    file::check_caption(fields, own.caption.as_ref());
    if let Some(name) = &own.file_name {
        legible::require(fields, "fileName", name, MAX_FILE_NAME);
    }
    Content::Document(Media {
        media: File {
            file_name: own.file_name,
            ..media.media
        },
        text: own.caption,
        ..media
    })
}
