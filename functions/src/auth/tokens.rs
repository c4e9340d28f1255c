//! The pair of tokens that a login gives.

use serde::Serialize;
use shared::auth::refresh::{RefreshToken, Session};
use shared::domain::account::User;

use crate::http::ApiError;
use crate::state::AppState;

/// An access token, a refresh token, and how long the first lives.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tokens {
    access_token: String,
    refresh_token: String,
    /// Seconds.
    expires_in: i64,
}

/// Begins a session: a new family of refresh tokens, of which the first is stored.
pub async fn begin_session(state: &AppState, user: &User) -> Result<Tokens, ApiError> {
    let now = state.clock.now();
    let session = Session::begin(user.id, user.subscription, now);
    let refresh_token = RefreshToken::generate();
    state.refresh_tokens.put(&refresh_token, &session).await?;
    let access_token = state
        .jwts
        .sign(user.id, user.subscription, user.role, &session.family, now)?;
    Ok(Tokens {
        access_token,
        refresh_token: refresh_token.reveal().to_owned(),
        expires_in: state.jwts.lifetime().num_seconds(),
    })
}
