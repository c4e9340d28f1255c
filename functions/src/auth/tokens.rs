//! The pair of tokens that a login gives.

use serde::Serialize;
use shared::auth::session::{LIFETIME, RefreshToken, Session};
use shared::domain::account::User;
use shared::domain::audit::Actor;
use utoipa::ToSchema;

use crate::http::{ApiError, RequestContext};
use crate::state::AppState;

/// An access token, a refresh token, and how long the first lives.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    #[schema(example = "eyJhbGciOiJIUzI1NiIsImtpZCI6IjEifQ.e30.Wx0")]
    access_token: String,
    #[schema(value_type = RefreshToken)]
    refresh_token: String,
    /// For how many seconds the access token is good.
    #[schema(example = 900)]
    expires_in: i64,
}

/// Begins a session of the user's present credentials, with its first tokens.
pub async fn begin_session(state: &AppState, user: &User) -> Result<Tokens, ApiError> {
    let now = state.clock.now();
    let refresh_token = RefreshToken::generate(None);
    let session = Session {
        name: refresh_token.session(),
        user: user.id,
        subscription: user.subscription,
        credentials: user.credentials,
        created_at: now,
        expires_at: now + LIFETIME,
    };
    state.sessions.begin(&refresh_token, &session).await?;
    issue(state, user, &refresh_token)
}

/// The pair of tokens of a session whose refresh token is stored.
pub fn issue(state: &AppState, user: &User, refresh_token: &RefreshToken) -> Result<Tokens, ApiError> {
    RequestContext::note_caller(user.subscription, Actor::User(user.id));
    let access_token = state.jwts.sign(
        user.id,
        user.subscription,
        user.role,
        &refresh_token.session(),
        state.clock.now(),
    )?;
    Ok(Tokens {
        access_token,
        refresh_token: refresh_token.reveal().to_owned(),
        expires_in: state.jwts.lifetime().num_seconds(),
    })
}
