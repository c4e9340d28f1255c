//! The one error that handlers answer with: a stable code, its status, and what a caller
//! can do about it. The cause goes to the log, never to the caller.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use shared::auth::jwt::JwtError;
use shared::auth::password::PasswordError;
use shared::bucket::BucketError;
use shared::nature::Nature;
use shared::queue::QueueError;
use shared::seal::SealError;
use shared::sealed::OpenError;
use shared::storage::StorageError;
use shared::storage::rates::Rate;

use super::docs_at::DocsAt;
use crate::state::NotServed;

macro_rules! codes {
    ($(#[doc = $meaning:literal] $variant:ident = $text:literal, $status:ident;)+) => {
        /// What an error is called. Codes are stable: clients branch on them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $meaning] $variant,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code's text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// What it means, in a sentence for the documentation.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }.trim()
            }

            /// The HTTP status that goes with it.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }
        }
    };
}

codes! {
    /// A field is missing, unknown or not what it should be.
    ValidationError = "VALIDATION_ERROR", BAD_REQUEST;
    /// The body is no JSON.
    InvalidJson = "INVALID_JSON", BAD_REQUEST;
    /// No token, or none that is accepted here.
    Unauthenticated = "UNAUTHENTICATED", UNAUTHORIZED;
    /// E-mail address and password do not go together.
    InvalidCredentials = "INVALID_CREDENTIALS", UNAUTHORIZED;
    /// The access token's time is over: refresh it.
    TokenExpired = "TOKEN_EXPIRED", UNAUTHORIZED;
    /// The caller may not do this.
    Forbidden = "FORBIDDEN", FORBIDDEN;
    /// The API key lacks a scope.
    InsufficientScope = "INSUFFICIENT_SCOPE", FORBIDDEN;
    /// The API key may not be used from this address.
    IpNotAllowed = "IP_NOT_ALLOWED", FORBIDDEN;
    /// The subscription is switched off.
    SubscriptionInactive = "SUBSCRIPTION_INACTIVE", FORBIDDEN;
    /// The month's messages are used up.
    QuotaExceeded = "QUOTA_EXCEEDED", FORBIDDEN;
    /// There is no such thing, or it is another subscription's.
    NotFound = "NOT_FOUND", NOT_FOUND;
    /// The route has other methods.
    MethodNotAllowed = "METHOD_NOT_ALLOWED", METHOD_NOT_ALLOWED;
    /// The thing is not in a state for this.
    Conflict = "CONFLICT", CONFLICT;
    /// Another user has the e-mail address.
    EmailTaken = "EMAIL_TAKEN", CONFLICT;
    /// Another instance has the name.
    NameTaken = "NAME_TAKEN", CONFLICT;
    /// The subscription has all the instances that its tier allows.
    InstanceLimitReached = "INSTANCE_LIMIT_REACHED", CONFLICT;
    /// The instance will not be connected without someone's doing.
    InstanceNotConnected = "INSTANCE_NOT_CONNECTED", CONFLICT;
    /// The idempotency key came with another body before.
    IdempotencyConflict = "IDEMPOTENCY_CONFLICT", CONFLICT;
    /// The message can no longer be edited.
    EditWindowClosed = "EDIT_WINDOW_CLOSED", CONFLICT;
    /// The message's content is not kept, or not any more.
    ContentNotKept = "CONTENT_NOT_KEPT", CONFLICT;
    /// The file was there and is gone for good.
    MediaGone = "MEDIA_GONE", GONE;
    /// The body did not come in time.
    RequestTimeout = "REQUEST_TIMEOUT", REQUEST_TIMEOUT;
    /// The body is too large.
    PayloadTooLarge = "PAYLOAD_TOO_LARGE", PAYLOAD_TOO_LARGE;
    /// The body is of a type that the route does not take.
    UnsupportedMediaType = "UNSUPPORTED_MEDIA_TYPE", UNSUPPORTED_MEDIA_TYPE;
    /// The recipient is known not to be on WhatsApp.
    RecipientNotOnWhatsapp = "RECIPIENT_NOT_ON_WHATSAPP", UNPROCESSABLE_ENTITY;
    /// Too many requests.
    RateLimited = "RATE_LIMITED", TOO_MANY_REQUESTS;
    /// The instance has as many messages waiting as it may.
    QueueFull = "QUEUE_FULL", TOO_MANY_REQUESTS;
    /// Too many failed logins.
    AccountLocked = "ACCOUNT_LOCKED", TOO_MANY_REQUESTS;
    /// A defect of ours.
    Internal = "INTERNAL", INTERNAL_SERVER_ERROR;
    /// WhatsApp or another service answered with an error.
    UpstreamError = "UPSTREAM_ERROR", BAD_GATEWAY;
    /// Something that is needed is not to be had now.
    Unavailable = "UNAVAILABLE", SERVICE_UNAVAILABLE;
    /// No answer in time.
    UpstreamTimeout = "UPSTREAM_TIMEOUT", GATEWAY_TIMEOUT;
}

/// An answer that is an error. The envelope's layer writes it out and logs its cause.
#[derive(Debug, Clone)]
pub struct ApiError {
    pub(super) code: Code,
    pub(super) message: Cow<'static, str>,
    pub(super) details: Option<Value>,
    pub(super) retry_after: Option<u32>,
    /// The limit that refused the request, where it is not the caller's own.
    pub(super) rate: Option<Rate>,
    pub(super) cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// An error with a message for people.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            details: None,
            retry_after: None,
            rate: None,
            cause: None,
        }
    }

    /// The same with `details`, an object for programs.
    #[must_use]
    pub fn with_details(self, details: Value) -> Self {
        Self {
            details: Some(details),
            ..self
        }
    }

    /// Fields that are not what they should be, each with its path and what is wrong.
    pub fn fields(fields: &[(String, String)]) -> Self {
        let message = match fields {
            [(field, message)] => format!("`{field}` {message}"),
            _ => "Some fields are not valid".to_owned(),
        };
        let fields: Vec<_> = fields
            .iter()
            .map(|(field, message)| json!({"field": field, "message": message}))
            .collect();
        Self::new(Code::ValidationError, message).with_details(json!({"fields": fields}))
    }

    /// One field that is not what it should be.
    pub fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::fields(&[(field.into(), message.into())])
    }

    /// There is no such thing, or it is another subscription's.
    pub fn not_found(what: &'static str) -> Self {
        Self::new(Code::NotFound, format!("There is no such {what}"))
    }

    /// Something that is needed is not to be had; trying again in `seconds` may help.
    pub fn unavailable(seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(
                Code::Unavailable,
                "The service cannot do this now; try again later",
            )
        }
    }

    /// A defect of ours.
    pub fn internal() -> Self {
        Self::new(Code::Internal, "Something went wrong on our side")
    }

    /// The same with the seconds after which trying again may help.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    /// The same with the limit that refused the request: the answer's headers tell of it.
    #[must_use]
    pub(super) fn by_limit(self, rate: Rate) -> Self {
        Self {
            rate: Some(rate),
            ..self
        }
    }

    /// The same with the failure behind it, for the log.
    #[must_use]
    pub fn caused_by(self, cause: impl Error + Send + Sync + 'static) -> Self {
        Self {
            cause: Some(Arc::new(cause)),
            ..self
        }
    }

    /// The answer to a failure of this nature. An unknown one may pass, so the caller is asked to try again.
    fn of_nature(nature: Nature) -> Self {
        match nature {
            Nature::Transient => Self::unavailable(2),
            Nature::Unknown => Self::unavailable(5),
            Nature::Permanent => Self::internal(),
        }
    }

    /// What callers are told of it. `docs` is where it is explained.
    pub(crate) fn told(&self, docs: &DocsAt) -> Value {
        let code = self.code.as_str();
        let mut told = json!({"code": code, "message": self.message, "docUrl": docs.page_of(code)});
        if let Some(details) = &self.details {
            told["details"] = details.clone();
        }
        told
    }

    /// The seconds after which trying again may help: those that it says, or one where its status always says some.
    pub(crate) fn retries_after(&self) -> Option<u32> {
        let always = matches!(
            self.code.status(),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
        );
        self.retry_after.or(always.then_some(1))
    }

    /// What the error is called.
    pub fn code(&self) -> Code {
        self.code
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        let answer = match &error {
            StorageError::Conflict(_) => Self::unavailable(1),
            other => Self::of_nature(other.nature()),
        };
        answer.caused_by(error)
    }
}

impl From<QueueError> for ApiError {
    fn from(error: QueueError) -> Self {
        Self::of_nature(error.nature()).caused_by(error)
    }
}

impl From<NotServed> for ApiError {
    fn from(NotServed(network): NotServed) -> Self {
        let message = format!("This deployment does not serve the network `{network}`");
        Self::new(Code::Unavailable, message)
    }
}

impl From<SealError> for ApiError {
    fn from(error: SealError) -> Self {
        Self::of_nature(error.nature()).caused_by(error)
    }
}

impl From<OpenError> for ApiError {
    fn from(error: OpenError) -> Self {
        Self::of_nature(error.nature()).caused_by(error)
    }
}

impl From<BucketError> for ApiError {
    fn from(error: BucketError) -> Self {
        Self::of_nature(error.nature()).caused_by(error)
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        Self::internal().caused_by(error)
    }
}

impl From<JwtError> for ApiError {
    fn from(error: JwtError) -> Self {
        match error {
            JwtError::Malformed => Self::new(
                Code::Unauthenticated,
                "The access token is malformed: send the `accessToken` of a login",
            ),
            JwtError::BadSignature => Self::new(
                Code::Unauthenticated,
                "The access token was not signed by this service",
            ),
            JwtError::Expired => Self::new(
                Code::TokenExpired,
                "The access token has expired: refresh it or log in again",
            ),
            JwtError::Unavailable => Self::of_nature(Nature::Unknown).caused_by(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_statuses_stand_in_one_table() {
        let table: Vec<String> = Code::ALL
            .iter()
            .map(|code| format!("{} {}", code.status().as_u16(), code.as_str()))
            .collect();
        insta::assert_snapshot!(table.join("\n"));
    }
}
