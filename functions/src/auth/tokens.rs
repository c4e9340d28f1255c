//! The pair of tokens that a login gives.

use axum::http::HeaderValue;
use serde::Serialize;
use shared::auth::session::{LIFETIME, RefreshToken, Session};
use shared::domain::account::User;
use shared::domain::audit::Actor;
use utoipa::ToSchema;

use super::cookie;
use crate::auth::AuthState;
use crate::http::{ApiError, RequestContext};

/// An access token, a refresh token, and how long the first lives.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    #[schema(example = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjEifQ.e30.Wx0")]
    access_token: String,
    /// Not here where it is set as a cookie.
    #[schema(value_type = Option<RefreshToken>)]
    refresh_token: Option<String>,
    /// For how many seconds the access token is good.
    #[schema(example = 900)]
    expires_in: i64,
}

/// How a refresh token goes to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// In the answer.
    Body,
    /// As a cookie, which scripts cannot read.
    Cookie,
}

impl Carrier {
    /// A cookie, where one is wanted.
    pub fn cookie_if(wanted: bool) -> Self {
        if wanted { Self::Cookie } else { Self::Body }
    }
}

/// Tokens, and the cookie that goes with them.
pub struct Issued {
    /// For the answer.
    pub tokens: Tokens,
    /// For the browser.
    pub cookie: Option<HeaderValue>,
}

/// Begins a session of the user's present credentials, with its first tokens.
pub async fn begin_session(state: &AuthState, user: &User, carrier: Carrier) -> Result<Issued, ApiError> {
    let now = state.clock.now();
    let refresh_token = RefreshToken::generate();
    let session = Session {
        name: refresh_token.session(),
        user: user.id,
        subscription: user.subscription,
        credentials: user.credentials,
        created_at: now,
        expires_at: now + LIFETIME,
    };
    state.sessions.begin(&refresh_token, &session).await?;
    issue(state, user, &refresh_token, carrier).await
}

/// The pair of tokens of a session whose refresh token is stored.
pub async fn issue(
    state: &AuthState,
    user: &User,
    refresh_token: &RefreshToken,
    carrier: Carrier,
) -> Result<Issued, ApiError> {
    RequestContext::note_caller(user.subscription, Actor::User(user.id));
    let (session, now) = (refresh_token.session(), state.clock.now());
    let signing = state
        .signer
        .signed(user.id, user.subscription, user.role, &session, now);
    let access_token = signing.await?;
    let (in_body, cookie) = match carrier {
        Carrier::Body => (Some(refresh_token.reveal().to_owned()), None),
        Carrier::Cookie => (None, cookie::set(refresh_token)),
    };
    let tokens = Tokens {
        access_token,
        refresh_token: in_body,
        expires_in: state.signer.lifetime().num_seconds(),
    };
    Ok(Issued { tokens, cookie })
}
