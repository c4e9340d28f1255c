//! `POST /api/auth/login`: tokens for e-mail address and password.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::auth::password::OfferedPassword;
use shared::domain::account::EmailAddress;

use super::tokens::{Tokens, begin_session};
use super::view::UserView;
use crate::http::{ApiError, Code, JsonBody, Reply};
use crate::state::AppState;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    email: String,
    password: OfferedPassword,
}

#[derive(Serialize)]
pub struct Response {
    user: UserView,
    tokens: Tokens,
}

pub async fn handler(
    State(state): State<AppState>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let email: EmailAddress =
        request
            .email
            .parse()
            .map_err(|error: shared::domain::account::InvalidEmailAddress| {
                ApiError::field("email", error.to_string())
            })?;
    let (user, hash) = state.accounts.credentials(&email).await?.unzip();
    // Always worked through, so that the time taken does not tell whether there is a user.
    let is_right = state.passwords.verify(request.password, hash.as_ref()).await?;
    let Some(user) = user.filter(|_| is_right) else {
        return Err(ApiError::new(
            Code::InvalidCredentials,
            "E-mail address and password do not go together",
        ));
    };
    if !user.active {
        return Err(ApiError::new(Code::Forbidden, "The user is not active"));
    }
    let tokens = begin_session(&state, &user).await?;
    Ok(Reply::ok(Response {
        user: user.into(),
        tokens,
    }))
}
