//! `POST /api/auth/change-password`: a new password for a user who knows the present one. All sessions end; the
//! answer begins a new one.

use axum::extract::State;
use axum::http::Method;
use serde::{Deserialize, Serialize};
use shared::auth::password::{NewPassword, OfferedPassword};
use shared::domain::account::User;
use shared::domain::audit::{Action, Outcome};
use shared::mail::Letter;
use shared::storage::accounts::Changed;
use shared::storage::lockouts::Scope;
use utoipa::ToSchema;

use super::cookie::RefreshCookie;
use super::lock::CountedAttempt;
use super::mails;
use super::tokens::{Carrier, Issued, Tokens, begin_session};
use crate::auth::AuthState;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, Fields, JsonBody, Record, Reply, Trail};
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    current_password: OfferedPassword,
    #[schema(value_type = NewPassword)]
    new_password: OfferedPassword,
}

#[derive(Serialize, ToSchema)]
pub struct Response {
    tokens: Tokens,
}

pub fn endpoint() -> Endpoint<AuthState> {
    Endpoint::new(
        Method::POST,
        "/api/auth/change-password",
        "changePassword",
        handler,
    )
    .about(
        Tag::Authentication,
        "Changes the password, for who knows the present one",
    )
    .details("All sessions end; the answer begins a new one, with a cookie where the request came with one.")
    .errors(&[
        Code::InvalidCredentials,
        Code::AccountLocked,
        Code::Conflict,
        Code::NotFound,
    ])
}

pub async fn handler(
    State(state): State<AuthState>,
    caller: UserCaller,
    trail: Trail,
    cookie: RefreshCookie,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let mut fields = Fields::default();
    let Some(password) = fields.check("newPassword", request.new_password.to_new()) else {
        return Err(fields.error());
    };
    // Whoever has a stolen access token must not guess without end. Each session has its own count: guesses from
    // elsewhere must not keep it from changing the password.
    let scope = Scope::Session(&caller.session.name);
    let attempt = CountedAttempt::begin(&state, &trail, scope).await?;
    let found = state
        .accounts
        .get_user_with_password(caller.user.subscription, caller.user.id)
        .await?;
    let (user, hash) = found.ok_or_else(|| ApiError::not_found("user"))?;
    let record = Record::by(&user, Action::PasswordChanged).on(user.id);
    if !state
        .passwords
        .verify(request.current_password, hash.as_ref())
        .await?
    {
        trail.record(&state, record.outcome(Outcome::Failure)).await;
        attempt.failed(Some(&user)).await?;
        return Err(ApiError::new(
            Code::InvalidCredentials,
            "The present password is another one",
        ));
    }
    attempt.succeeded().await?;
    let hash = state.passwords.hash(password).await?;
    match state.accounts.set_password(&user, &hash, None).await? {
        Changed::Done => {}
        Changed::Stale => {
            return Err(ApiError::new(
                Code::Conflict,
                "The password was changed by another request meanwhile",
            ));
        }
    }
    let user = User {
        credentials: user.credentials + 1,
        ..user
    };
    trail.record(&state, record).await;
    mails::send_beside(&state, &user, Letter::PasswordChanged).await;
    let carrier = Carrier::cookie_if(cookie.is_there());
    let Issued { tokens, cookie } = begin_session(&state, &user, carrier).await?;
    Ok(Reply::ok(Response { tokens }).cookie(cookie))
}
