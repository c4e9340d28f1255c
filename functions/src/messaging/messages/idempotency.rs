//! The header `Idempotency-Key`: a request that comes again is answered, not done again.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::http::ApiError;

/// The request's key, where it has one: 1 to 255 printable ASCII characters.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub Option<String>);

impl IdempotencyKey {
    /// The header's name.
    pub const HEADER: &str = "Idempotency-Key";

    /// The longest key.
    pub const LONGEST: usize = 255;
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all(Self::HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let is_fine = |key: &&str| {
            (1..=Self::LONGEST).contains(&key.len()) && key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        };
        let key = value.to_str().ok().filter(is_fine);
        match (key, values.next()) {
            (Some(key), None) => Ok(Self(Some(key.to_owned()))),
            _ => Err(ApiError::field(
                Self::HEADER,
                format!(
                    "must be there once, with 1 to {} printable ASCII characters",
                    Self::LONGEST
                ),
            )),
        }
    }
}
