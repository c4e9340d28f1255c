//! Path parameters. An id that does not parse names nothing, and is a 404. A parameter that people spell themselves, as a phone
//! number, is told what is wrong with it.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::error::ApiError;
use super::fields::Fields;

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

/// A route's one path parameter, of a kind that callers spell: one that does not parse is refused by its name.
#[derive(Debug)]
pub struct Spelt<T>(pub T);

impl<T: FromStr<Err: Display>, S: Send + Sync> FromRequestParts<S> for Spelt<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let all = RawPathParams::from_request_parts(parts, state).await;
        let all = all.map_err(|_| ApiError::not_found("resource"))?;
        let Some((name, text)) = all.iter().next() else {
            return Err(ApiError::not_found("resource"));
        };
        let mut fields = Fields::default();
        let value = fields.parse(name, text);
        value.map(Self).ok_or_else(|| fields.error())
    }
}
