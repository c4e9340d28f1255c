//! Query parameters, as strict as bodies are.

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
            .map_err(|rejection| {
                let words =
                    std::error::Error::source(&rejection).map_or_else(String::new, ToString::to_string);
                match words.split('`').collect::<Vec<_>>()[..] {
                    [before, name, ..] if before.starts_with("unknown field") => {
                        ApiError::field(name, "is unknown")
                    }
                    [before, name, ..] if before.starts_with("duplicate field") => {
                        ApiError::field(name, "is there twice")
                    }
                    _ => ApiError::field("query", "is not well-formed"),
                }
            })
    }
}
