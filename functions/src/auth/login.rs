//! `POST /api/auth/login`: tokens for e-mail address and password.

use axum::extract::State;
use axum::http::Method;
use serde::{Deserialize, Serialize};
use shared::auth::password::OfferedPassword;
use shared::domain::account::EmailAddress;
use shared::domain::audit::{Action, Actor, Outcome};
use utoipa::ToSchema;

use super::administrator;
use super::lock::CountedAttempt;
use super::tokens::{Tokens, begin_session};
use super::view::UserView;
use crate::http::{ApiError, AuthGate, Code, Fields, JsonBody, Record, Reply, Trail};
use crate::openapi::{Operation, Tag};
use crate::state::AppState;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = EmailAddress)]
    email: String,
    password: OfferedPassword,
}

#[derive(Serialize, ToSchema)]
pub struct Response {
    user: UserView,
    tokens: Tokens,
}

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(Method::POST, "/api/auth/login", "login", handler)
        .about(Tag::Authentication, "Logs in with e-mail address and password")
        .errors(&[Code::InvalidCredentials, Code::Forbidden, Code::AccountLocked])
}

pub async fn handler(
    State(state): State<AppState>,
    _: AuthGate,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let mut fields = Fields::default();
    let Some(email) = fields.parse::<EmailAddress>("email", &request.email) else {
        return Err(fields.error());
    };
    let attempt = CountedAttempt::begin(&state, &trail, &email).await?;
    let (user, hash) = match state.accounts.credentials(&email).await? {
        Some((user, hash)) => (Some(user), hash),
        None => (None, None),
    };
    // Always worked through, so that the time taken does not tell whether there is a user.
    let is_right = state.passwords.verify(request.password, hash.as_ref()).await?;
    let record = match &user {
        Some(user) => Record::by(user, Action::Login).on(user.id),
        None => Record::anonymous(Action::Login),
    };
    let Some(user) = user.filter(|_| is_right) else {
        let record = record.actor(Actor::Anonymous).outcome(Outcome::Failure);
        trail.record(&state, record).await;
        attempt.failed().await?;
        return Err(ApiError::new(
            Code::InvalidCredentials,
            "E-mail address and password do not go together",
        ));
    };
    attempt.succeeded().await?;
    if !user.active {
        trail.record(&state, record.outcome(Outcome::Denied)).await;
        return Err(ApiError::new(Code::Forbidden, "The user is not active"));
    }
    let user = administrator::promote(&state, &trail, user).await?;
    let tokens = begin_session(&state, &user).await?;
    trail.record(&state, record).await;
    Ok(Reply::ok(Response {
        user: user.into(),
        tokens,
    }))
}
