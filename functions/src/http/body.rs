//! Reading a body: in bounded memory and in bounded time, so that a sender who stalls holds nothing up.
//!
//! Behind API Gateway a body has come whole before a function is called. A listener of our own meets whatever a
//! sender does.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt as _;
use shared::domain::content::MAX_PART;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{ApiError, Code};

/// The largest JSON body.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The largest form: a file of 4 MiB, and what stands beside it. In base64, as Lambda is given it, this is below the 6 MB that
/// Lambda takes.
pub const MAX_FORM_BYTES: usize = MAX_PART + 64 * 1024;

/// Whether a request carries a form.
pub fn is_form(headers: &HeaderMap) -> bool {
    is_of_type(headers, "multipart/form-data")
}

/// Whether a request's body is of this type, whatever its parameters are.
pub fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .and_then(|value| value.split(';').next())
        .unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(wanted)
}

/// How large the body of a request with these headers may be.
fn limit(headers: &HeaderMap) -> usize {
    if is_form(headers) {
        MAX_FORM_BYTES
    } else {
        MAX_BODY_BYTES
    }
}

/// How long a body may take.
#[derive(Debug, Clone, Copy)]
pub struct BodyTimes {
    /// The longest pause between two pieces.
    pub pause: Duration,
    /// All of it together. It lies below the request's own deadline.
    pub whole: Duration,
}

impl Default for BodyTimes {
    fn default() -> Self {
        Self {
            pause: Duration::from_secs(5),
            whole: Duration::from_secs(20),
        }
    }
}

/// A request's whole body.
pub(crate) async fn collect(request: Request) -> Result<Bytes, ApiError> {
    let times = request
        .extensions()
        .get::<BodyTimes>()
        .copied()
        .unwrap_or_default();
    let limit = limit(request.headers());
    let mut body = request.into_body();
    let end = Instant::now() + times.whole;
    let mut collected = Vec::new();
    loop {
        let until = end.min(Instant::now() + times.pause);
        let piece = timeout_at(until, body.frame()).await.map_err(|_| stalled())?;
        match piece {
            None => return Ok(collected.into()),
            Some(Err(_)) => return Err(ApiError::new(Code::InvalidJson, "The body could not be read")),
            Some(Ok(piece)) => {
                let data = piece.into_data().unwrap_or_default();
                if collected.len() + data.len() > limit {
                    return Err(refusal(limit));
                }
                collected.extend_from_slice(&data);
            }
        }
    }
}

/// Whether a body is empty. If it tells no length its first piece is awaited; a body whose first piece does not come
/// counts as not empty.
pub(crate) async fn is_empty(body: &mut Body, times: BodyTimes) -> bool {
    if body.is_end_stream() {
        return true;
    }
    if let Some(length) = body.size_hint().exact() {
        return length == 0;
    }
    if body.size_hint().lower() > 0 {
        return false;
    }
    loop {
        match timeout(times.pause, body.frame()).await {
            Ok(None) => return true,
            Ok(Some(Ok(piece))) if piece.data_ref().is_none_or(Bytes::is_empty) => {}
            Ok(Some(_)) | Err(_) => return false,
        }
    }
}

/// The refusal of a body that is announced as larger than allowed.
pub(crate) fn too_large(headers: &HeaderMap, body: &Body) -> Option<ApiError> {
    let limit = limit(headers);
    let is_too_large = usize::try_from(body.size_hint().lower()).is_ok_and(|length| length > limit);
    is_too_large.then(|| refusal(limit))
}

/// The refusal of one that is too large.
fn refusal(limit: usize) -> ApiError {
    ApiError::new(
        Code::PayloadTooLarge,
        format!("The body is larger than {limit} bytes"),
    )
}

fn stalled() -> ApiError {
    ApiError::new(
        Code::RequestTimeout,
        "The body did not come in time: nothing was done, send the request again",
    )
}
