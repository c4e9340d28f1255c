//! `POST /api/media`: room for a file, and the request by which the caller puts it there.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use shared::bucket::SignedRequest;
use shared::domain::upload::{FileName, MAX_UPLOAD, MimeType, URL_TERM};
use shared::ids::MediaId;
use shared::storage::idempotency::{Asked, Claim};
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::uploads::announce;
use crate::endpoint::Endpoint;
use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Code, Fields, JsonBody, Replayable, Reply, Timestamp, Whole, log};
use crate::messaging::MessagingState;
use crate::messaging::idempotency::{IdempotencyKey, other_request};
use crate::openapi::Tag;

/// The number of the form in which a request's bytes stand for what it asks.
const FORM: u32 = 1;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = NewMedia, example = json!({"fileName": "photo.jpg", "mimeType": "image/jpeg", "size": 845_861}))]
pub struct Request {
    #[schema(value_type = FileName)]
    file_name: String,
    #[schema(value_type = MimeType)]
    mime_type: String,
    #[schema(schema_with = size_schema)]
    size: Whole,
}

/// Where a file goes.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UploadTarget)]
pub struct Response {
    id: MediaId,
    /// Whoever has it may put the file.
    #[schema(example = "https://bucket.s3.eu-central-1.amazonaws.com/outgoing/upload/…?X-Amz-Signature=…")]
    upload_url: String,
    /// The method of the request that puts it.
    #[schema(example = "PUT")]
    method: &'static str,
    /// Headers that this request must carry as they are.
    #[schema(example = json!({"content-type": "image/jpeg", "content-length": "845861"}))]
    headers: BTreeMap<&'static str, String>,
    /// Until when the request may begin.
    expires_at: Timestamp,
}

fn size_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(MAX_UPLOAD))
        .description(Some("In bytes. No other length is taken"))
        .examples([845_861])
        .build()
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::POST, "/api/media", "createMedia", handler)
        .about(Tag::Media, "Makes room for a file to send")
        .details(
            "The file itself goes to `uploadUrl`, by `method`, with `headers` and nothing else of the API: no key is \
             needed there. Then it can be sent by its id (`mediaId`), once. It is deleted when it was sent, and 24 hours \
             after this answer at the latest. The same request under the same idempotency key has the same id and a new URL.",
        )
        .status(StatusCode::CREATED)
        .errors(&[Code::InstanceNotConnected])
}

pub async fn handler(
    State(state): State<MessagingState>,
    caller: KeyCaller<permission::MediaWrite>,
    IdempotencyKey(idempotency_key): IdempotencyKey,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Replayable<Response>, ApiError> {
    let (file_name, mime_type, size) = parse(&request)?;
    let instance = caller.grant.instance;
    let now = state.clock.now();
    let offered = MediaId::new(now);
    let (id, is_replay) = match &idempotency_key {
        None => (offered, false),
        Some(key) => {
            let meaning = format!("media\n{file_name}\n{mime_type}\n{size}");
            let asked = Asked {
                bytes: meaning.as_bytes(),
                meaning: meaning.as_bytes(),
                form: FORM,
                by_meaning: false,
            };
            match state
                .idempotency
                .claim(instance, key, asked, offered, now)
                .await?
            {
                Claim::New => (offered, false),
                Claim::Known { first, .. } => (first, true),
                Claim::OtherRequest => return Err(other_request()),
            }
        }
    };
    let announced = announce(&state, instance, id, file_name, mime_type, size).await;
    let upload = match (announced, &idempotency_key) {
        (Ok(upload), _) => upload,
        (Err(error), Some(key)) if !is_replay => {
            // Nothing stands for the key: the next request with it is the first.
            if let Err(error) = state.idempotency.release(instance, key, id).await {
                log::went_wrong(&error.into(), "an idempotency key stands for nothing");
            }
            return Err(error);
        }
        (Err(error), _) => return Err(error),
    };
    let mime_type = upload.about.mime_type.as_str();
    let signed = state
        .bucket
        .upload(&upload.object, size, mime_type, URL_TERM)
        .await?;
    let SignedRequest {
        url,
        method,
        headers,
        expires_at,
    } = signed;
    let response = Response {
        id,
        upload_url: url,
        method,
        headers: headers.into_iter().collect(),
        expires_at: expires_at.into(),
    };
    let reply = Reply::created(response);
    Ok(Replayable { reply, is_replay })
}

fn parse(request: &Request) -> Result<(FileName, MimeType, u64), ApiError> {
    let mut fields = Fields::default();
    let file_name = fields.parse::<FileName>("fileName", &request.file_name);
    let mime_type = fields.parse::<MimeType>("mimeType", &request.mime_type);
    let size = u64::from(request.size.0);
    if !(1..=MAX_UPLOAD).contains(&size) {
        fields.fault("size", format!("must be a whole number from 1 to {MAX_UPLOAD}"));
    }
    fields.finish()?;
    match (file_name, mime_type) {
        (Some(file_name), Some(mime_type)) => Ok((file_name, mime_type, size)),
        _ => Err(fields.error()),
    }
}
