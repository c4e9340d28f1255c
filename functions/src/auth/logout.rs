//! `POST /api/auth/logout`: ends the session of the access token, with all its tokens. A browser whose access token
//! is lost or expired ends the session of its refresh token.

use axum::extract::State;
use axum::http::Method;
use serde::{Deserialize, Serialize};
use shared::auth::session::RefreshToken;
use shared::domain::audit::{Action, Actor};
use shared::storage::rates::Scope;
use utoipa::ToSchema;

use super::cookie::RefreshCookie;
use crate::auth::AuthState;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, OptionalJsonBody, Record, Reply, Trail, rate_limit};
use crate::openapi::Tag;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// Of the session that is to end, where no access token comes. Where it is not here, the cookie's counts.
    #[schema(value_type = RefreshToken, required = false)]
    refresh_token: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    logged_out: bool,
}

pub fn endpoint() -> Endpoint<AuthState> {
    Endpoint::new(Method::POST, "/api/auth/logout", "logout", handler)
        .about(Tag::Authentication, "Ends the access token's session")
        .details(
            "Without an access token that is good, the session of the refresh token in the body ends, or of the one in the \
             cookie `waxwing_refresh`, which is taken away.",
        )
}

pub async fn handler(
    State(state): State<AuthState>,
    caller: Result<UserCaller, ApiError>,
    trail: Trail,
    cookie: RefreshCookie,
    OptionalJsonBody(request): OptionalJsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let removal = cookie.removal();
    match caller {
        Ok(caller) => {
            state.sessions.end(&caller.session.name).await?;
            let record = Record::by(&caller.user, Action::Logout).on(caller.user.id);
            trail.record(&state, record).await;
        }
        Err(refusal) => {
            let token = match &request.refresh_token {
                Some(text) => Some(text.as_str()),
                None => cookie.token()?,
            };
            let token = token.ok_or(refusal)?;
            end_by_refresh_token(&state, &trail, token).await?;
        }
    }
    Ok(Reply::ok(Response { logged_out: true }).cookie(removal))
}

/// Ends the session of a refresh token, if it is not over. Every token of a session holds the session's name, so an
/// older one will do.
async fn end_by_refresh_token(state: &AuthState, trail: &Trail, token: &str) -> Result<(), ApiError> {
    let now = state.clock.now();
    if let Some(address) = trail.source() {
        let rate = state
            .rates
            .count(Scope::Address(address), state.auth_limit, now)
            .await?;
        rate_limit::refuse_beyond(rate, now)?;
    }
    let Some(token) = RefreshToken::parse(token) else {
        return Ok(());
    };
    if let Some(session) = state.sessions.get(&token.session(), now).await? {
        state.sessions.end(&session.name).await?;
        let record = Record::anonymous(Action::Logout)
            .of(session.subscription)
            .actor(Actor::User(session.user))
            .on(session.user);
        trail.record(state, record).await;
    }
    Ok(())
}
