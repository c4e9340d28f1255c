//! Path parameters. One that does not parse names nothing, and is a 404.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::error::ApiError;

/// A route's one path parameter.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: FromStr, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = axum::extract::Path::<String>::from_request_parts(parts, state).await;
        text.ok()
            .and_then(|text| text.parse().ok())
            .map(Self)
            .ok_or_else(|| ApiError::not_found("resource"))
    }
}
