//! `POST /api/auth/reset-password`: a new password for the code of a mail, which is used up;
//! an invited member sets its first one here. All sessions end.

use axum::extract::State;
use axum::http::Method;
use serde::{Deserialize, Serialize};
use shared::auth::mail_code::MailCode;
use shared::auth::password::{NewPassword, OfferedPassword};
use shared::domain::account::User;
use shared::domain::audit::Action;
use shared::mail::Letter;
use shared::storage::accounts::Changed;
use shared::storage::lockouts::Scope;
use shared::storage::mail_codes::Purpose;
use utoipa::ToSchema;

use super::view::UserView;
use super::{administrator, mails};
use crate::http::{ApiError, AuthGate, Fields, JsonBody, Record, Reply, Trail};
use crate::openapi::{Operation, Tag};
use crate::state::AppState;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = MailCode)]
    token: String,
    #[schema(value_type = NewPassword)]
    password: OfferedPassword,
}

#[derive(Serialize, ToSchema)]
pub struct Response {
    user: UserView,
}

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(Method::POST, "/api/auth/reset-password", "resetPassword", handler)
        .about(Tag::Authentication, "Sets a new password with the code of a mail")
        .details("An invited member sets its first password here. All sessions end.")
}

pub async fn handler(
    State(state): State<AppState>,
    _: AuthGate,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    // The password first: a code is not used up by one that is too short.
    let mut fields = Fields::default();
    let password = fields.check("password", request.password.to_new());
    let Some(password) = password else {
        return Err(fields.error());
    };
    let code = MailCode::parse(&request.token).ok_or_else(refused)?;
    let purposes = [Purpose::ResetPassword, Purpose::AcceptInvitation];
    let now = state.clock.now();
    let issued = state.mail_codes.find(&code, &purposes, now).await?;
    let issued = issued.ok_or_else(refused)?;
    if !state.mail_codes.use_up(&code).await? {
        return Err(refused());
    }
    let user = state.accounts.user(issued.subscription, issued.user).await?;
    let user = user
        .filter(|user| user.active && user.credentials == issued.credentials)
        .ok_or_else(refused)?;
    let hash = state.passwords.hash(password).await?;
    // The code came to the address, so the address is verified too.
    match state.accounts.set_password(&user, &hash, Some(now)).await? {
        Changed::Done => {}
        Changed::Stale => return Err(refused()),
    }
    // Whoever shows the code is not kept out by somebody else's guesses.
    state.lockouts.clear(&Scope::Account(&user.email)).await?;
    let user = User {
        credentials: user.credentials + 1,
        email_verified_at: user.email_verified_at.or(Some(now)),
        ..user
    };
    trail
        .record(&state, Record::by(&user, Action::PasswordReset).on(user.id))
        .await;
    let user = administrator::promote(&state, &trail, user).await?;
    if issued.purpose == Purpose::ResetPassword {
        mails::send_beside(&state, &user, Letter::PasswordChanged).await;
    }
    Ok(Reply::ok(Response { user: user.into() }))
}

fn refused() -> ApiError {
    ApiError::field(
        "token",
        "is not valid, was used before, or is too old: ask for a new one",
    )
}
