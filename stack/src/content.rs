//! `PUT` and `GET /api/media/content`: where the bucket's signed URLs lead in a stack of one process. In a deployment they lead
//! to S3, and nobody has these routes.
//!
//! The URL is the permission: it says what may be done with which object, and is signed. No API key is asked for. Files
//! pass through in pieces, and an upload that ends early leaves nothing behind.

use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::put;
use futures::{Stream, StreamExt as _};
use serde::Deserialize;
use serde_json::json;
use shared::bucket::{
    Allowed, Bucket, BucketError, LINK_PATH, Length, Link, LinkFault, ObjectName, PutError, disposition,
};
use shared::nature::Nature;
use shared::seal::SealError;
use tokio::time::timeout;
use tracing::warn;

/// The longest pause between two pieces of a file that comes.
const PAUSE: Duration = Duration::from_secs(20);

/// The two routes.
pub fn routes(bucket: Bucket) -> Router {
    Router::new()
        .route(LINK_PATH, put(take).get(give))
        .layer(DefaultBodyLimit::disable())
        .with_state(bucket)
}

/// What a signed URL says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    object: String,
    expires: i64,
    size: Option<u64>,
    #[serde(rename = "type")]
    mime_type: String,
    name: Option<String>,
    signature: String,
}

/// An answer that is an error, as S3's are, but in JSON.
struct Refusal(StatusCode, &'static str, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        let error = json!({"code": code, "message": message});
        (status, Json(json!({"success": false, "error": error}))).into_response()
    }
}

impl Refusal {
    fn forbidden(message: &str) -> Self {
        Self(StatusCode::FORBIDDEN, "FORBIDDEN", message.to_owned())
    }

    fn invalid(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message.into())
    }
}

impl From<BucketError> for Refusal {
    fn from(error: BucketError) -> Self {
        if let BucketError::Seal(SealError::NoKey(_)) = error {
            let message = "the instance was never paired with a WhatsApp account";
            return Self(StatusCode::CONFLICT, "INSTANCE_NOT_CONNECTED", message.to_owned());
        }
        warn!(error = &error as &dyn std::error::Error, "the bucket failed");
        match error.nature() {
            Nature::Transient => Self(
                StatusCode::SERVICE_UNAVAILABLE,
                "UNAVAILABLE",
                "the bucket is not to be had now: try again".to_owned(),
            ),
            Nature::Permanent | Nature::Unknown => Self(
                StatusCode::INTERNAL_SERVER_ERROR,
                "INTERNAL",
                "the bucket failed".to_owned(),
            ),
        }
    }
}

/// Takes a file: exactly as long and of the type that the URL says.
async fn take(
    State(bucket): State<Bucket>,
    query: Result<Query<Said>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let said = said(query)?;
    let size = said
        .size
        .ok_or_else(|| Refusal::forbidden("the URL is not one to put a file to"))?;
    let link = checked(&bucket, said, Allowed::Put { size })?;
    let given = headers.get(header::CONTENT_TYPE);
    if given.is_none_or(|given| given.as_bytes() != link.mime_type.as_bytes()) {
        return Err(Refusal::invalid(
            "the header `Content-Type` must be that of the upload",
        ));
    }
    let announced = headers.get(header::CONTENT_LENGTH);
    if announced.is_some_and(|announced| announced.as_bytes() != size.to_string().as_bytes()) {
        return Err(Refusal::invalid(format!(
            "the file must have {size} bytes, as was announced"
        )));
    }
    let put = bucket
        .put(&link.object, pieces(body), Length::Exactly(size))
        .await;
    match put {
        Ok(_) => Ok(StatusCode::OK),
        Err(PutError::TooLong(limit)) => Err(Refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            "PAYLOAD_TOO_LARGE",
            format!("the file is longer than the {limit} bytes that were announced"),
        )),
        Err(PutError::TooShort(length)) => Err(Refusal::invalid(format!(
            "the file must have {size} bytes, as was announced, and ended after {length}"
        ))),
        Err(PutError::Source(_)) => Err(Refusal(
            StatusCode::REQUEST_TIMEOUT,
            "REQUEST_TIMEOUT",
            "the file did not come in time: nothing of it was kept".to_owned(),
        )),
        Err(PutError::Bucket(error)) => Err(error.into()),
    }
}

/// Hands a file out, to be stored and not to be shown.
async fn give(
    State(bucket): State<Bucket>,
    query: Result<Query<Said>, QueryRejection>,
) -> Result<Response, Refusal> {
    let link = checked(&bucket, said(query)?, Allowed::Get)?;
    let object = bucket.get(&link.object).await?;
    let Some(object) = object else {
        let message = "the file is not there any more".to_owned();
        return Err(Refusal(StatusCode::NOT_FOUND, "NOT_FOUND", message));
    };
    let mut response = Body::from_stream(object.content).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(object.size));
    let texts = [
        (header::CONTENT_TYPE, link.mime_type.clone()),
        (
            header::CONTENT_DISPOSITION,
            disposition(link.file_name.as_deref()),
        ),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

fn said(query: Result<Query<Said>, QueryRejection>) -> Result<Said, Refusal> {
    let Query(said) = query.map_err(|_| Refusal::forbidden("the URL is not as it was signed"))?;
    Ok(said)
}

fn checked(bucket: &Bucket, said: Said, allowed: Allowed) -> Result<Link, Refusal> {
    let forged = || Refusal::forbidden("the URL is not as it was signed");
    let object: ObjectName = said.object.parse().map_err(|_| forged())?;
    let link = Link {
        allowed,
        object,
        expires: said.expires,
        mime_type: said.mime_type,
        file_name: said.name,
    };
    match bucket.check(&link, &said.signature) {
        Some(Ok(())) => Ok(link),
        Some(Err(LinkFault::Expired)) => Err(Refusal::forbidden("the URL has expired: ask for another")),
        Some(Err(LinkFault::Forged)) | None => Err(forged()),
    }
}

/// Why a file does not come.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the sender paused for too long")]
    Stalled,
    #[error("the connection ended")]
    Ended(#[source] axum::Error),
}

/// The pieces of a body, with an end to waiting for each.
fn pieces(body: Body) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
    futures::stream::unfold(body.into_data_stream(), async |mut pieces| {
        let piece = match timeout(PAUSE, pieces.next()).await {
            Ok(None) => return None,
            Ok(Some(piece)) => piece.map_err(Broken::Ended),
            Err(_) => Err(Broken::Stalled),
        };
        Some((piece, pieces))
    })
}
