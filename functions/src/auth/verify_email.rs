//! `POST /api/auth/verify-email`: shows with the code of a mail that the address is one's own.
//!
//! The code alone does not show it: anybody can register any address, and whoever reads its mails need not be the one
//! who knows the password. So the code has to come with the user's access token. Whoever has only the code can take
//! the account over by setting a new password.

use axum::extract::State;
use axum::http::Method;
use serde::{Deserialize, Serialize};
use shared::auth::mail_code::MailCode;
use shared::domain::account::User;
use shared::domain::audit::Action;
use shared::storage::mail_codes::Purpose;
use utoipa::ToSchema;

use super::administrator;
use super::view::UserView;
use crate::auth::AuthState;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, JsonBody, Record, Reply, Trail};
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = MailCode)]
    token: String,
}

#[derive(Serialize, ToSchema)]
pub struct Response {
    user: UserView,
}

pub fn endpoint() -> Endpoint<AuthState> {
    Endpoint::new(Method::POST, "/api/auth/verify-email", "verifyEmail", handler)
        .about(
            Tag::Authentication,
            "Verifies the e-mail address with the code of a mail",
        )
        .details(
            "With the access token of the user whose address it is: who reads its mails need not be the one who registered it. \
             If somebody else did, set a new password by `POST /api/auth/forgot-password`.",
        )
}

pub async fn handler(
    State(state): State<AuthState>,
    caller: UserCaller,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let code = MailCode::parse(&request.token).ok_or_else(refused)?;
    let now = state.clock.now();
    let issued = state.mail_codes.get(&code, &[Purpose::VerifyEmail], now).await?;
    let issued = issued.ok_or_else(refused)?;
    let user = caller.user;
    if issued.user != user.id {
        return Err(refused());
    }
    if !state.mail_codes.use_up(&code).await? {
        return Err(refused());
    }
    state
        .accounts
        .set_email_verified(user.subscription, user.id, now)
        .await?;
    let user = User {
        email_verified_at: user.email_verified_at.or(Some(now)),
        ..user
    };
    trail
        .record(&state, Record::by(&user, Action::EmailVerified).on(user.id))
        .await;
    let user = administrator::promote(&state, &trail, user).await;
    Ok(Reply::ok(Response { user: user.into() }))
}

fn refused() -> ApiError {
    ApiError::field(
        "token",
        "is not valid, was used before, or is too old: ask for a new one",
    )
}
