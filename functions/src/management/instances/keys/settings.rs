//! What a key's owner decides of it, checked: at its creation and when it is changed.

use chrono::{DateTime, Utc};
use shared::auth::api_key::{DEFAULT_RATE_LIMIT, Grant, Scope};
use shared::auth::cidr::Cidr;
use utoipa::PartialSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, SchemaType, Type};

use crate::http::Fields;

/// Most ranges of addresses that a key is bound to.
const MAX_CIDRS: usize = 50;

/// The highest number of requests an hour.
const MAX_RATE_LIMIT: u32 = 1_000_000;

/// What the document tells of `scopes`.
pub fn scopes_schema() -> Array {
    ArrayBuilder::new()
        .items(Scope::schema())
        .min_items(Some(1))
        .description(Some(
            "What the key may do; a new one all but `webhook:write` where it is not there",
        ))
        .build()
}

/// What the document tells of `allowedCidrs`.
pub fn allowed_cidrs_schema() -> Array {
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(Cidr::schema())
        .max_items(Some(MAX_CIDRS))
        .description(Some(
            "Where the key may be used from; anywhere where there are none",
        ))
        .build()
}

/// What the document tells of `rateLimit`.
pub fn rate_limit_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .maximum(Some(MAX_RATE_LIMIT))
        .description(Some("Requests an hour"))
        .examples([DEFAULT_RATE_LIMIT])
        .build()
}

/// Sets `scopes`.
pub fn scopes(fields: &mut Fields, grant: &mut Grant, texts: &[String]) {
    if texts.is_empty() {
        fields.fault("scopes", "must name one scope or more");
    }
    grant.scopes = texts
        .iter()
        .enumerate()
        .filter_map(|(index, text)| fields.parse::<Scope>(format!("scopes[{index}]"), text))
        .collect();
}

/// Sets `allowedCidrs`.
pub fn allowed_cidrs(fields: &mut Fields, grant: &mut Grant, texts: &[String]) {
    if texts.len() > MAX_CIDRS {
        fields.fault("allowedCidrs", format!("must have {MAX_CIDRS} ranges or fewer"));
    }
    grant.allowed_cidrs = texts
        .iter()
        .enumerate()
        .filter_map(|(index, text)| fields.parse::<Cidr>(format!("allowedCidrs[{index}]"), text))
        .collect();
}

/// Sets `expiresAt`.
pub fn expires_at(fields: &mut Fields, grant: &mut Grant, text: &str, now: DateTime<Utc>) {
    grant.expires_at = text.parse::<DateTime<Utc>>().ok().filter(|at| *at > now);
    if grant.expires_at.is_none() {
        fields.fault("expiresAt", "must be an RFC 3339 time in the future");
    }
}

/// Sets `rateLimit`.
pub fn rate_limit(fields: &mut Fields, grant: &mut Grant, limit: u32) {
    if !(1..=MAX_RATE_LIMIT).contains(&limit) {
        fields.fault(
            "rateLimit",
            format!("must be a whole number from 1 to {MAX_RATE_LIMIT}"),
        );
    }
    grant.rate_limit = limit;
}
