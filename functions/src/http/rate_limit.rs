//! Rate limits as callers see them: the headers of an answer, and the refusal.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderName, HeaderValue};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::json;
use shared::storage::rates::{Limit, Rate, Scope};

use super::context::RequestContext;
use super::error::{ApiError, Code};
use super::source_address::source_address;
use crate::state::Base;

/// Lets a counted request go on if it is within the limit, and notes where its caller stands for the answer's
/// headers.
pub fn admit(extensions: &Extensions, rate: Rate, now: DateTime<Utc>) -> Result<(), ApiError> {
    RequestContext::note_rate(extensions, rate);
    refuse_beyond(rate, now)
}

/// The same without a note: for limits that are not the caller's own, of which only a refusal tells.
pub fn refuse_beyond(rate: Rate, now: DateTime<Utc>) -> Result<(), ApiError> {
    if rate.within {
        return Ok(());
    }
    let wait = (rate.resets_at - now).num_seconds().max(1);
    let message = format!(
        "Too many requests: {} are allowed, and the count begins anew at {}",
        rate.limit,
        rate.resets_at.format("%H:%M:%S UTC")
    );
    Err(ApiError::new(Code::RateLimited, message)
        .with_details(json!({"limit": rate.limit}))
        .by_limit(rate)
        .retry_after(u32::try_from(wait).unwrap_or(u32::MAX)))
}

/// `X-RateLimit-Limit`, `-Remaining` and `-Reset` (Unix seconds).
pub(super) fn headers(response: &mut Response, rate: Rate) {
    let values = [
        ("x-ratelimit-limit", i64::from(rate.limit)),
        ("x-ratelimit-remaining", i64::from(rate.remaining)),
        ("x-ratelimit-reset", rate.resets_at.timestamp()),
    ];
    for (name, value) in values {
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), HeaderValue::from(value));
    }
}

/// Proof that a request without a token is within its source address's limit. Every route of authentication takes it.
#[derive(Debug, Clone, Copy)]
pub struct AuthGate(());

/// What a source address may ask of these routes.
#[derive(Debug, Clone, Copy)]
pub struct AuthLimit(pub Limit);

impl<S: Send + Sync> FromRequestParts<S> for AuthGate
where
    Base: FromRef<S>,
    AuthLimit: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let (AuthLimit(limit), state) = (AuthLimit::from_ref(state), Base::from_ref(state));
        if let Some(address) = source_address(parts, state.trusted_proxies) {
            let now = state.clock.now();
            let rate = state.rates.count(Scope::Address(address), limit, now).await?;
            admit(&parts.extensions, rate, now)?;
        }
        Ok(Self(()))
    }
}
