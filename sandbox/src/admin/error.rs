//! Errors as the admin API says them, and bodies and queries that name what they do not know.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error::Error;

/// A failure on its way to the caller.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// A handler's result.
pub(super) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "VALIDATION_ERROR",
            message: message.into(),
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let (status, code) = match &error {
            Error::Invalid(_) | Error::Refused { code: 406, .. } => {
                (StatusCode::BAD_REQUEST, "VALIDATION_ERROR")
            }
            Error::NotFound(_) => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Error::TimedOut(_) => (StatusCode::GATEWAY_TIMEOUT, "TIMED_OUT"),
            Error::Refused { code: 401 | 403, .. } => (StatusCode::FORBIDDEN, "FORBIDDEN"),
            Error::Refused { code: 410, .. } => (StatusCode::GONE, "GONE"),
            Error::Conflict(_) | Error::Refused { .. } => (StatusCode::CONFLICT, "CONFLICT"),
            Error::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Error::Storage(_)
            | Error::Commit(_)
            | Error::Signal(_)
            | Error::Codec { .. }
            | Error::Panicked => {
                tracing::error!(cause = %error.for_log(), "an admin call failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL")
            }
        };
        Self {
            status,
            code,
            message: error.to_string(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message}});
        (self.status, Json(body)).into_response()
    }
}

/// A JSON body. Types that refuse unknown members name them in the answer.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|error| ApiError::invalid(error.body_text()))?;
        // No body reads as an empty one: most members are optional.
        let bytes = if bytes.is_empty() { b"{}" } else { bytes.as_ref() };
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        let body = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            match error.path().to_string().as_str() {
                "." => ApiError::invalid(error.inner().to_string()),
                path => ApiError::invalid(format!("`{path}`: {}", error.inner())),
            }
        })?;
        let trailing = |error: serde_json::Error| ApiError::invalid(error.to_string());
        reader.end().map_err(trailing)?;
        Ok(Self(body))
    }
}

/// Query parameters, with errors in the API's form.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query
            .map(|Query(params)| Self(params))
            .map_err(|error| ApiError::invalid(error.body_text()))
    }
}

pub(super) async fn no_route() -> ApiError {
    ApiError {
        status: StatusCode::NOT_FOUND,
        code: "NOT_FOUND",
        message: "there is no such route".into(),
    }
}

pub(super) async fn no_method() -> ApiError {
    ApiError {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "METHOD_NOT_ALLOWED",
        message: "this route does not take this method".into(),
    }
}
