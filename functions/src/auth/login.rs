//! `POST /api/auth/login`: tokens for e-mail address and password.

use axum::extract::State;
use axum::http::Method;
use serde::{Deserialize, Serialize};
use shared::auth::password::OfferedPassword;
use shared::domain::account::EmailAddress;
use shared::domain::audit::{Action, Actor, Outcome};
use utoipa::ToSchema;

use super::administrator;
use super::lock::CountedLogin;
use super::tokens::{Carrier, Issued, Tokens, begin_session};
use super::view::UserView;
use crate::auth::AuthState;
use crate::endpoint::Endpoint;
use crate::http::{ApiError, AuthGate, Code, Fields, JsonBody, Record, Reply, Trail};
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = EmailAddress)]
    email: String,
    password: OfferedPassword,
    /// Whether the refresh token is to be set as a cookie instead of being answered: for browsers.
    #[serde(default)]
    cookie: bool,
}

#[derive(Serialize, ToSchema)]
pub struct Response {
    user: UserView,
    tokens: Tokens,
}

pub fn endpoint() -> Endpoint<AuthState> {
    Endpoint::new(Method::POST, "/api/auth/login", "login", handler)
        .about(Tag::Authentication, "Logs in with e-mail address and password")
        .details(
            "Ten failures in a quarter of an hour lock the account for the network that they come from (an IPv4 network of 24 \
             bits, an IPv6 network of 64), until then. A hundred lock it for every network that nobody has logged in from in \
             the last 90 days. With `cookie` the refresh token is set as the cookie `waxwing_refresh`.",
        )
        .errors(&[Code::InvalidCredentials, Code::Forbidden, Code::AccountLocked])
}

pub async fn handler(
    State(state): State<AuthState>,
    _: AuthGate,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let mut fields = Fields::default();
    let Some(email) = fields.parse::<EmailAddress>("email", &request.email) else {
        return Err(fields.error());
    };
    let attempt = CountedLogin::begin(&state, &trail, &email).await?;
    let (user, hash) = match state.accounts.get_credentials(&email).await? {
        Some((user, hash)) => (Some(user), hash),
        None => (None, None),
    };
    // This is always done, so that the time taken does not tell whether there is a user.
    let is_right = state.passwords.verify(request.password, hash.as_ref()).await?;
    let record = match &user {
        Some(user) => Record::by(user, Action::Login).on(user.id),
        None => Record::anonymous(Action::Login),
    };
    let Some(user) = user.as_ref().filter(|_| is_right) else {
        let record = record.actor(Actor::Anonymous).outcome(Outcome::Failure);
        trail.record(&state, record).await;
        attempt.failed(user.as_ref()).await?;
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
    let user = administrator::promote(&state, &trail, user.clone()).await;
    let carrier = Carrier::cookie_if(request.cookie);
    let Issued { tokens, cookie } = begin_session(&state, &user, carrier).await?;
    trail.record(&state, record).await;
    let response = Response {
        user: user.into(),
        tokens,
    };
    Ok(Reply::ok(response).cookie(cookie))
}
