//! `GET /api/instances/{instance}/qr`: the QR code to scan, as JSON or as a picture.

use axum::extract::State;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response as HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use shared::domain::instance::{Instance, MAX_QR_ATTEMPTS, QrCode, Status};
use shared::ids::InstanceId;
use shared::seal::Purpose;
use utoipa::ToSchema;

use super::find::{InstanceRef, find};
use super::picture::{self, Undrawable};
use crate::connection::Owners;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, Path, Reply, Timestamp};
use crate::management::ManagementState;
use crate::openapi::Tag;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    #[schema(example = "2@pJx0,bW9k,c3Vt,a2V5")]
    code: String,
    #[schema(example = "data:image/png;base64,iVBORw0KGgo=")]
    image: String,
    attempt: u8,
    #[schema(example = 3)]
    max_attempts: u8,
    expires_at: Timestamp,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::GET,
        "/api/instances/{instance}/qr",
        "getInstanceQr",
        handler,
    )
    .about(
        Tag::Instances,
        "Shows the QR code to scan, as JSON or as a picture",
    )
    .details("`Accept` decides on the form. Where there is no code to scan, the 409 tells the status, and what to do.")
    .errors(&[Code::Conflict])
    .answers::<Response>()
    .answers_plain("image/png")
    .answers_plain("image/svg+xml")
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    Path(which): Path<InstanceRef>,
    headers: HeaderMap,
) -> Result<HttpResponse, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let qr = to_scan(&state, &instance).await?;
    let code = open(&state, instance.id, &QrCode::aad(instance.id), &qr.sealed).await?;
    Ok(match Form::wanted(&headers) {
        Form::Png => ([(header::CONTENT_TYPE, "image/png")], picture::png(&code)?).into_response(),
        Form::Svg => ([(header::CONTENT_TYPE, "image/svg+xml")], picture::svg(&code)?).into_response(),
        Form::Json => Reply::ok(Response {
            image: format!("data:image/png;base64,{}", STANDARD.encode(picture::png(&code)?)),
            code,
            attempt: qr.attempt,
            max_attempts: MAX_QR_ATTEMPTS,
            expires_at: qr.expires_at.into(),
        })
        .into_response(),
    })
}

/// The code that can be scanned now.
async fn to_scan(state: &ManagementState, instance: &Instance) -> Result<QrCode, ApiError> {
    let owners = Owners::of(state, [instance]).await?;
    let status = owners.connection(instance).status;
    shown(instance, status, state.clock.now())
        .cloned()
        .ok_or_else(|| none(status, instance.account.is_some()))
}

/// The refusal where there is no code to scan, with what to do, and when.
fn none(status: Status, is_paired: bool) -> ApiError {
    let message = format!(
        "There is no QR code to scan: the instance is {status}. {}",
        advice(status, is_paired)
    );
    ApiError::new(Code::Conflict, message).with_details(json!({"status": status}))
}

const fn advice(status: Status, is_paired: bool) -> &'static str {
    match status {
        Status::Banned | Status::Unknown => "`GET …/status` tells why",
        Status::Connected => "It is paired, and needs none",
        _ if is_paired => "It is paired, and needs none: `GET …/status` tells how its connection is",
        Status::Disconnected | Status::LoggedOut | Status::ForceDisconnected => {
            "`POST …/connect` makes one: ask for it two seconds later"
        }
        Status::Connecting | Status::AwaitingQr => "The next one comes in a moment: ask again in two seconds",
        Status::Reconnecting => {
            "Its daemon is away or changes: ask again in ten seconds, and where that goes on, `GET …/status` tells why"
        }
        Status::AwaitingPairingCode => {
            "It waits for its pairing code to be typed on the phone; `POST …/connect` makes a QR code in its place"
        }
        Status::AwaitingPasskey => "It waits for a passkey of the phone's owner: `GET …/passkey` tells more",
    }
}

/// The code that can be scanned now, of an instance whose connection has this status.
pub fn shown(instance: &Instance, status: Status, now: DateTime<Utc>) -> Option<&QrCode> {
    let qr = instance.observed.qr.as_ref();
    qr.filter(|qr| status == Status::AwaitingQr && now < qr.expires_at)
}

/// The text of a code to pair by, which rests sealed.
pub async fn open(
    state: &ManagementState,
    id: InstanceId,
    aad: &[u8],
    sealed: &[u8],
) -> Result<String, ApiError> {
    let opened = state.sealer.open(id, Purpose::Content, aad, sealed).await?;
    String::from_utf8(opened).map_err(|error| ApiError::internal().caused_by(error.utf8_error()))
}

impl From<Undrawable> for ApiError {
    fn from(error: Undrawable) -> Self {
        Self::internal().caused_by(error)
    }
}

/// The form in which the code is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Png,
    Svg,
}

impl Form {
    /// What `Accept` prefers of the three forms (RFC 9110, 12.5.1); JSON where it names
    /// none of them.
    fn wanted(headers: &HeaderMap) -> Self {
        let accept = headers
            .get(header::ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let mut best = (Self::Json, 0.0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let form = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/json" | "application/*" | "*/*" => Self::Json,
                "image/png" | "image/*" => Self::Png,
                "image/svg+xml" => Self::Svg,
                _ => continue,
            };
            let quality = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
            if quality > best.1 {
                best = (form, quality);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_one_that_is_preferred() {
        let wanted = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().expect("a header value"));
            Form::wanted(&headers)
        };
        assert_eq!(Form::wanted(&HeaderMap::new()), Form::Json);
        assert_eq!(wanted("*/*"), Form::Json);
        assert_eq!(wanted("image/png"), Form::Png);
        assert_eq!(wanted("image/svg+xml"), Form::Svg);
        assert_eq!(wanted("application/json;q=0.5, image/svg+xml;q=0.9"), Form::Svg);
        assert_eq!(wanted("text/html, image/png;q=0.8, */*;q=0.1"), Form::Png);
        assert_eq!(wanted("text/html"), Form::Json);
        assert_eq!(wanted("image/png;q=0"), Form::Json);
    }
}
