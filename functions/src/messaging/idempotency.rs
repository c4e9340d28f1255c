//! The header `Idempotency-Key`: a request that comes again is answered, not done again.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use shared::ids::InstanceId;
use shared::storage::idempotency::{Asked, Claim, IdempotencyKeys};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::endpoint::Argument;
use crate::http::{ApiError, Code, log};
use crate::openapi::Operation;

/// The request's key, where it has one: 1 to 255 printable ASCII characters.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(pub Option<String>);

impl IdempotencyKey {
    const HEADER: &str = "Idempotency-Key";

    const LONGEST: usize = 255;
}

/// What a request makes that may come again.
#[derive(Debug, Clone, Copy)]
pub struct Claimed<I> {
    /// Its id: the one that the request offered, or the one that the first request with its key did.
    pub id: I,
    /// What is known of the first request, where this is not it.
    pub earlier: Option<Earlier>,
}

/// What is known of the first request with a key, beside the id of what it makes.
#[derive(Debug, Clone, Copy)]
pub struct Earlier {
    /// Whether the job of its message is known to be in the queue.
    pub is_queued: bool,
}

impl<I> Claimed<I> {
    /// What a request makes that is the first with its key, or has none.
    pub const fn first(id: I) -> Self {
        Self { id, earlier: None }
    }

    /// Whether the request is the first with its key, or has none.
    pub const fn is_first(&self) -> bool {
        self.earlier.is_none()
    }
}

/// Claims a key for what has the id `offered`. Refuses a request whose key came with another one before.
pub async fn claim<I: Copy + Display + FromStr>(
    keys: &IdempotencyKeys,
    instance: InstanceId,
    key: &str,
    asked: Asked<'_>,
    offered: I,
    now: DateTime<Utc>,
) -> Result<Claimed<I>, ApiError> {
    match keys.claim(instance, key, asked, offered, now).await? {
        Claim::New => Ok(Claimed::first(offered)),
        Claim::Known { first, is_queued } => Ok(Claimed {
            id: first,
            earlier: Some(Earlier { is_queued }),
        }),
        Claim::OtherRequest => Err(other_request()),
    }
}

/// Leaves a key to the next request with it, since nothing came of `made`. Where that fails it stands for nothing until its
/// term.
pub async fn release(keys: &IdempotencyKeys, instance: InstanceId, key: &str, made: impl Display) {
    if let Err(error) = keys.release(instance, key, made).await {
        log::went_wrong(&error.into(), "an idempotency key stands for nothing");
    }
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
