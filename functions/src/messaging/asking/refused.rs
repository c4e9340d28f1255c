//! Why a question has no answer, in HTTP's words.

use serde_json::json;
use shared::domain::instance::Status;
use shared::domain::question::Refusal;

use crate::http::{ApiError, Code};

/// For how long whoever is asked for fewer requests waits, where nobody says for how long.
const THROTTLED_SECONDS: u32 = 60;

/// After how many seconds an instance that is being connected may be connected.
const RECONNECTS_IN_SECONDS: u32 = 5;

/// Why there is no answer.
pub enum Failed {
    /// Nothing was done, nor will be.
    Undone(ApiError),
    /// Something may have been done.
    InDoubt(ApiError),
}

impl Failed {
    /// What the caller is told.
    pub fn error(self) -> ApiError {
        match self {
            Self::Undone(error) | Self::InDoubt(error) => error,
        }
    }
}

/// A refusal in HTTP's words.
pub fn refused(refusal: Refusal) -> Failed {
    let error = match refusal {
        Refusal::NotConnected => not_connected(None),
        Refusal::Busy => ApiError::new(
            Code::RateLimited,
            "The instance is asked too much at once: wait for the answers to come",
        )
        .retry_after(1),
        Refusal::Throttled { seconds } => ApiError::new(
            Code::RateLimited,
            "WhatsApp asks for fewer requests of this account: wait, and ask less often",
        )
        .retry_after(seconds.unwrap_or(THROTTLED_SECONDS)),
        Refusal::NotOnWhatsapp => ApiError::new(
            Code::RecipientNotOnWhatsapp,
            "WhatsApp was asked, and does not know the contact",
        ),
        Refusal::NoGroup => ApiError::not_found("group"),
        Refusal::NotAMember => ApiError::new(Code::Forbidden, "The account is not in the group")
            .with_details(json!({"reason": "NOT_A_MEMBER"})),
        Refusal::NotAnAdmin => ApiError::new(
            Code::Forbidden,
            "The group's admins alone may do this, and the account is none of them",
        )
        .with_details(json!({"reason": "NOT_AN_ADMIN"})),
        Refusal::NoInvite => ApiError::not_found("invite link"),
        Refusal::Already => ApiError::new(Code::Conflict, "It is so already, or is asked for already"),
        Refusal::NotAnImage => ApiError::new(
            Code::UnsupportedMediaType,
            "The picture is no JPEG, PNG, WebP or GIF that can be read, or is too large",
        ),
        Refusal::Refused { code } => ApiError::new(Code::UpstreamError, "WhatsApp refuses to do this")
            .with_details(json!({"upstreamCode": code})),
        Refusal::Unavailable | Refusal::Unknown => ApiError::new(
            Code::UpstreamError,
            "WhatsApp could not do this now; try again later",
        ),
        Refusal::InDoubt => return Failed::InDoubt(too_late("unknown")),
    };
    match refusal {
        // A newer daemon's reason may leave anything behind.
        Refusal::Unknown => Failed::InDoubt(error),
        _ => Failed::Undone(error),
    }
}

/// Nobody waits any longer. `outcome` is `not_started` or `unknown`.
pub fn too_late(outcome: &'static str) -> ApiError {
    let message = match outcome {
        "not_started" => "There was no answer in time. Nothing was done, nor will be: try again",
        _ => "There was no answer in time, and nobody knows whether it was done",
    };
    ApiError::new(Code::UpstreamTimeout, message).with_details(json!({"outcome": outcome}))
}

/// The instance has no connection.
pub fn not_connected(status: Option<Status>) -> ApiError {
    let error = ApiError::new(
        Code::InstanceNotConnected,
        "The instance is not connected to WhatsApp now, which this needs",
    );
    // A daemon is about to connect it.
    let is_coming = matches!(status, None | Some(Status::Reconnecting | Status::Connecting));
    let error = if is_coming {
        error.retry_after(RECONNECTS_IN_SECONDS)
    } else {
        error
    };
    match status {
        Some(status) => error.with_details(json!({"status": status})),
        None => error,
    }
}
