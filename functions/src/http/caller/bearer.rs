//! `Authorization: Bearer <token>`: an API key by its beginning, else a JWT.

use axum::http::{HeaderMap, header};
use shared::auth::api_key::KeySecret;

use crate::http::error::{ApiError, Code};

/// What a request brings.
pub enum Bearer<'a> {
    /// An API key.
    Key(KeySecret),
    /// What should be a JWT.
    Jwt(&'a str),
}

/// The request's token.
pub fn bearer(headers: &HeaderMap) -> Result<Bearer<'_>, ApiError> {
    let unauthenticated = |message: &'static str| ApiError::new(Code::Unauthenticated, message);
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values
        .next()
        .ok_or_else(|| unauthenticated("A token is needed: send `Authorization: Bearer <token>`"))?;
    if values.next().is_some() {
        return Err(unauthenticated("`Authorization` must be there once"));
    }
    let text = value.to_str().unwrap_or_default();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    };
    if token.is_empty() {
        return Err(unauthenticated(
            "`Authorization` must be `Bearer` and a token, with a space between them",
        ));
    }
    Ok(match KeySecret::from_token(token) {
        Some(key) => Bearer::Key(key),
        None => Bearer::Jwt(token),
    })
}
