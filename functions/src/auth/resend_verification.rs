//! `POST /api/auth/resend-verification`: the mail with the code for one's address once more.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::mails;
use crate::auth::AuthState;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, Reply, rate_limit};
use crate::openapi::Tag;

#[derive(Serialize, ToSchema)]
pub struct Response {
    #[schema(example = "A mail with a code is on its way")]
    message: &'static str,
}

pub fn endpoint() -> Endpoint<AuthState> {
    Endpoint::new(
        Method::POST,
        "/api/auth/resend-verification",
        "resendVerification",
        handler,
    )
    .about(
        Tag::Authentication,
        "Sends the code that verifies the address once more",
    )
    .status(StatusCode::ACCEPTED)
    .errors(&[Code::Conflict, Code::UpstreamError])
}

pub async fn handler(
    State(state): State<AuthState>,
    caller: UserCaller,
) -> Result<Reply<Response>, ApiError> {
    if caller.user.email_verified_at.is_some() {
        return Err(ApiError::new(
            Code::Conflict,
            "The e-mail address is verified already",
        ));
    }
    let rate = mails::count(&state, &caller.user).await?;
    rate_limit::refuse_beyond(rate, state.clock.now())?;
    mails::send_verification(&state, &caller.user).await?;
    Ok(Reply::accepted(Response {
        message: "A mail with a code is on its way",
    }))
}
