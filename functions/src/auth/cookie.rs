//! The refresh token of a browser: a cookie that scripts cannot read.
//!
//! The browser adds the cookie to requests by itself, whoever makes them. So it is for this site alone, and counts
//! only beside a header that no form can send, and no other site's script without this API's leave (CORS).

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, header};
use shared::auth::session::{LIFETIME, RefreshToken};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::endpoint::Argument;
use crate::http::{ApiError, Code};
use crate::openapi::Operation;

/// The cookie's name.
pub const NAME: &str = "waxwing_refresh";

/// The header that a request with the cookie must carry, with any value.
pub const CLIENT_HEADER: HeaderName = HeaderName::from_static("x-waxwing-client");

/// The cookie that a request brought.
#[derive(Clone)]
pub struct RefreshCookie {
    text: Option<String>,
    is_from_script: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for RefreshCookie {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let lines = parts.headers.get_all(header::COOKIE).iter();
        let text = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, text)| *name == NAME && !text.is_empty())
            .map(|(_, text)| text.to_owned());
        Ok(Self {
            text,
            is_from_script: parts.headers.contains_key(CLIENT_HEADER),
        })
    }
}

impl<S> Argument<S> for RefreshCookie {
    fn describe(operation: &mut Operation) {
        operation.header(
            CLIENT_HEADER.as_str(),
            "Any text. Needed where the refresh token comes as the cookie `waxwing_refresh`: it shows that a page of one's own \
             sends the request",
            ObjectBuilder::new().schema_type(Type::String).examples(["dashboard"]).build(),
        );
        operation.codes.insert(Code::Forbidden);
    }
}

impl RefreshCookie {
    /// Whether there is one.
    pub fn is_there(&self) -> bool {
        self.text.is_some()
    }

    /// The token in it.
    ///
    /// # Errors
    /// `FORBIDDEN` without the header, which shows that the user's own page sends the request.
    pub fn token(&self) -> Result<Option<&str>, ApiError> {
        if self.is_there() && !self.is_from_script {
            return Err(ApiError::new(
                Code::Forbidden,
                "The refresh token came as a cookie: send the header `X-Waxwing-Client` with it, or the token in the body",
            ));
        }
        Ok(self.text.as_deref())
    }

    /// The header value that takes the cookie from the browser, where it has one.
    pub fn removal(&self) -> Option<HeaderValue> {
        let removal = format!("{NAME}=; {ATTRIBUTES}; Max-Age=0");
        self.text
            .as_ref()
            .and_then(|_| HeaderValue::from_str(&removal).ok())
    }
}

const ATTRIBUTES: &str = "HttpOnly; Secure; SameSite=Strict; Path=/api/auth";

/// The header value that gives a browser a token.
pub fn set(token: &RefreshToken) -> Option<HeaderValue> {
    let seconds = LIFETIME.num_seconds();
    let cookie = format!("{NAME}={}; {ATTRIBUTES}; Max-Age={seconds}", token.reveal());
    let mut cookie = HeaderValue::from_str(&cookie).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}
