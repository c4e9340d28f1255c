//! The header `Idempotency-Key`: a request that comes again is answered, not done again.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::endpoint::Argument;
use crate::http::{ApiError, Code};
use crate::openapi::Operation;

/// The request's key, where it has one: 1 to 255 printable ASCII characters.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub Option<String>);

impl IdempotencyKey {
    const HEADER: &str = "Idempotency-Key";

    const LONGEST: usize = 255;
}

/// The answer to a request whose key came with another request before.
pub fn other_request() -> ApiError {
    ApiError::new(
        Code::IdempotencyConflict,
        "The idempotency key came with another request before",
    )
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

impl<S> Argument<S> for IdempotencyKey {
    fn describe(operation: &mut Operation) {
        let key = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(Self::LONGEST))
            // Space at either end is HTTP's own, and no part of a value.
            .pattern(Some("^[!-~]([ -~]*[!-~])?$"))
            .examples(["order-4711"]);
        operation.header(
            Self::HEADER,
            "A name for this request, kept for 24 hours: the same request under it is answered with the first \
             result, and not done again",
            key.build(),
        );
        operation.is_replayed = true;
        operation
            .codes
            .extend([Code::ValidationError, Code::IdempotencyConflict]);
    }
}
