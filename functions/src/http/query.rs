//! Query parameters, as strict as bodies are.

use std::error::Error;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// A query of type `T`. `T` denies unknown fields and takes texts, which its handler parses:
/// so a fault names its parameter.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(|rejection| fault(&rejection))
    }
}

/// Names the parameter, which the innermost error has in backticks.
fn fault(rejection: &dyn Error) -> ApiError {
    let mut innermost = rejection;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let words = innermost.to_string();
    let parameter = |what: &str| {
        let (_, rest) = words.split_once(what)?;
        rest.split_once('`').map(|(name, _)| name.to_owned())
    };
    if let Some(name) = parameter("unknown field `") {
        ApiError::field(name, "is unknown")
    } else if let Some(name) = parameter("duplicate field `") {
        ApiError::field(name, "is there twice")
    } else {
        ApiError::field("query", "is not well-formed")
    }
}
