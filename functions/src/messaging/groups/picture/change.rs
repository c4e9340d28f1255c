//! `PUT /api/groups/{group}/picture`.

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use shared::domain::question::ChangePicture;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{KnownFormat, Object, SchemaFormat};

use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, Fields, JsonBody, Reply, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
use crate::messaging::groups::group::GroupRef;
use crate::openapi::Tag;

/// Most bytes of a picture.
const MOST: usize = 256 * 1024;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = GroupPicture)]
pub struct Request {
    #[schema(schema_with = base64_schema)]
    base64: Option<String>,
    #[schema(ignore)]
    url: Option<IgnoredAny>,
    #[schema(ignore)]
    media_id: Option<IgnoredAny>,
}

fn base64_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Byte)))
        .min_length(Some(1))
        .max_length(Some(MOST.div_ceil(3) * 4))
        .description(Some("A JPEG, PNG, WebP or GIF of up to 256 KiB, in base64"))
        .examples(["/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgICAgMCAgID"])
        .build()
}

/// A group's new picture.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ChangedGroupPicture)]
pub struct Response {
    /// The group's JID.
    #[schema(example = "120363021033254949@g.us")]
    id: String,
    /// WhatsApp's id of the picture; `null` where it gives none.
    #[schema(example = "1767225600")]
    picture_id: Option<String>,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(
        Method::PUT,
        "/api/groups/{group}/picture",
        "changeGroupPicture",
        handler,
    )
    .about(Tag::Groups, "Gives a group a picture")
    .details(
        "The group shows the middle of it, as a square of 640 pixels. Done once at most: where there is no answer in time, \
         `details.outcome` of the error says whether it was done. To do it again does no harm.",
    )
    .errors(&[Code::Forbidden, Code::UnsupportedMediaType])
}

pub async fn handler(
    socket: Socket<permission::GroupsWrite>,
    Spelt(GroupRef(group)): Spelt<GroupRef>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let image = image(request)?;
    let id = group.to_jid();
    let image = Some(image);
    let changed = socket.ask(ChangePicture { group, image }).await?;
    Ok(Reply::ok(Response {
        id,
        picture_id: changed.id,
    }))
}

fn image(request: Request) -> Result<String, ApiError> {
    let mut fields = Fields::default();
    fields.unserved("url", request.url.is_some());
    fields.unserved("mediaId", request.media_id.is_some());
    let base64 = request.base64.unwrap_or_default();
    match STANDARD.decode(&base64) {
        Ok(bytes) if (1..=MOST).contains(&bytes.len()) => {}
        Ok(_) => fields.fault("base64", format!("must have 1 to {MOST} bytes")),
        Err(_) => fields.fault("base64", "must be base64"),
    }
    fields.finish()?;
    Ok(base64)
}
