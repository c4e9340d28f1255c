//! `POST /api/media`: room for a file, and the request by which the caller puts it there.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use chrono::{Days, NaiveTime};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::bucket::SignedRequest;
use shared::domain::upload::{
    FileName, MAX_UPLOAD, MAX_UPLOADED_A_DAY, MAX_UPLOADS_A_DAY, MimeType, URL_TERM,
};
use shared::ids::{InstanceId, MediaId};
use shared::storage::idempotency::Asked;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::uploads::announce;
use crate::endpoint::Endpoint;
use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Code, Fields, JsonBody, Replayable, Reply, Timestamp, Whole};
use crate::messaging::MessagingState;
use crate::messaging::idempotency::{self, Claimed, IdempotencyKey};
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
             needed there. Then it can be sent by its id (`mediaId`), with one message, within 24 hours after this answer. It \
             is deleted when that was sent, failed, expired or was taken back, and where no message names it, after these 24 \
             hours. A message that is scheduled keeps it until it is due. An instance may announce 1,000 files of 8 GiB \
             together in a day (UTC); `RATE_LIMITED` says when the next begins. The same request under the same idempotency \
             key has the same id and a new URL, until a message has the file: it answers `CONFLICT` from then on, and names the \
             message in `messageId`.",
        )
        .status(StatusCode::CREATED)
        .errors(&[Code::Conflict, Code::InstanceNotConnected, Code::RateLimited])
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
    let claimed = match &idempotency_key {
        None => Claimed::first(offered),
        Some(key) => {
            let meaning = format!("media\n{file_name}\n{mime_type}\n{size}");
            let asked = Asked {
                bytes: meaning.as_bytes(),
                meaning: meaning.as_bytes(),
                form: FORM,
                by_meaning: false,
            };
            idempotency::claim(&state.idempotency, instance, key, asked, offered, now).await?
        }
    };
    let (id, is_replay) = (claimed.id, !claimed.is_first());
    // A request that came before is counted, or was cut short.
    let has_room = if is_replay {
        Ok(())
    } else {
        require_room(&state, instance, size).await
    };
    let announced = match has_room {
        Ok(()) => announce(&state, instance, id, file_name, mime_type, size).await,
        Err(refused) => Err(refused),
    };
    let (object, about) = match (announced, &idempotency_key) {
        (Ok(announced), _) => announced,
        (Err(error), Some(key)) if !is_replay => {
            // Nothing stands for the key: the next request with it is the first.
            idempotency::release(&state.idempotency, instance, key, id).await;
            return Err(error);
        }
        (Err(error), _) => return Err(error),
    };
    let mime_type = about.mime_type.as_str();
    let signed = state.bucket.upload(&object, size, mime_type, URL_TERM).await?;
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

/// Counts the file, where the instance may announce one more today. One write unit.
async fn require_room(state: &MessagingState, instance: InstanceId, size: u64) -> Result<(), ApiError> {
    let now = state.clock.now();
    if state.counters.count_upload(instance, size, now).await? {
        return Ok(());
    }
    let renews_at = (now.date_naive() + Days::new(1))
        .and_time(NaiveTime::MIN)
        .and_utc();
    let message = format!(
        "The instance has announced as many files today as it may: {MAX_UPLOADS_A_DAY}, and {MAX_UPLOADED_A_DAY} bytes \
         together. The day renews at midnight (UTC)"
    );
    let details = json!({
        "limit": MAX_UPLOADS_A_DAY, "limitBytes": MAX_UPLOADED_A_DAY, "renewsAt": Timestamp(renews_at),
    });
    let seconds = (renews_at - now).num_seconds().max(1);
    Err(ApiError::new(Code::RateLimited, message)
        .with_details(details)
        .retry_after(u32::try_from(seconds).unwrap_or(u32::MAX)))
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
