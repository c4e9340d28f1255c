//! `POST /api/auth/forgot-password`: a mail with a code for a new password. The answer has the same words and takes
//! the same time whether anybody has the address or not.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use shared::domain::account::EmailAddress;
use shared::domain::audit::Action;
use shared::mail::Letter;
use shared::storage::mail_codes::Purpose;
use utoipa::ToSchema;

use super::mails;
use crate::auth::AuthState;
use crate::endpoint::Endpoint;
use crate::http::{ApiError, AuthGate, Fields, JsonBody, Record, Reply, Trail, log};
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = EmailAddress)]
    email: String,
}

#[derive(Serialize, ToSchema)]
pub struct Response {
    #[schema(example = "A mail with a code is on its way")]
    message: &'static str,
}

pub fn endpoint() -> Endpoint<AuthState> {
    Endpoint::new(
        Method::POST,
        "/api/auth/forgot-password",
        "forgotPassword",
        handler,
    )
    .about(Tag::Authentication, "Sends a code for a new password")
    .details("Answers alike whether anybody has the address or not.")
    .status(StatusCode::ACCEPTED)
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
    let answer_at = tokio::time::sleep(state.forgot_password_answer);
    let ((), sent) = tokio::join!(answer_at, send(&state, &trail, &email));
    if let Err(error) = sent {
        // Only the log tells it: the answer must not say that there was something to send.
        log::went_wrong(&error, "a password reset did not go out");
    }
    Ok(Reply::accepted(Response {
        message: "If somebody has this address, a mail with a code is on its way",
    }))
}

async fn send(state: &AuthState, trail: &Trail, email: &EmailAddress) -> Result<(), ApiError> {
    let Some((user, password)) = state.accounts.get_credentials(email).await? else {
        return Ok(());
    };
    // A person who was only invited joins by accepting, and not in this way.
    if user.never_came(password.as_ref()) || !user.active || !mails::count_reset(state, &user).await?.within {
        return Ok(());
    }
    let record = Record::by(&user, Action::PasswordResetRequested);
    let record = record.actor(shared::domain::audit::Actor::Anonymous).on(user.id);
    trail.record(state, record).await;
    let code = mails::issue(state, &user, Purpose::ResetPassword).await?;
    let letter = Letter::ResetPassword { code: code.reveal() };
    mails::send(state, &user, letter).await
}
