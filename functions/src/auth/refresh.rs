//! `POST /api/auth/refresh`: a new pair of tokens for a refresh token, which is used up.

use axum::extract::State;
use axum::http::Method;
use serde::{Deserialize, Serialize};
use shared::auth::session::{RefreshToken, Session};
use shared::domain::audit::{Action, Actor, Outcome};
use shared::storage::sessions::Rotated;
use utoipa::ToSchema;

use super::tokens::{Tokens, issue};
use super::view::UserView;
use crate::http::caller::require_served;
use crate::http::{ApiError, AuthGate, Code, JsonBody, Record, Reply, Trail};
use crate::openapi::{Operation, Tag};
use crate::state::AppState;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    #[schema(value_type = RefreshToken)]
    refresh_token: String,
}

#[derive(Serialize, ToSchema)]
pub struct Response {
    user: UserView,
    tokens: Tokens,
}

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(Method::POST, "/api/auth/refresh", "refresh", handler)
        .about(
            Tag::Authentication,
            "Trades a refresh token for a new pair of tokens",
        )
        .details("A refresh token is used up by this; using it again ends the session.")
        .errors(&[Code::Unauthenticated, Code::Forbidden, Code::SubscriptionInactive])
}

pub async fn handler(
    State(state): State<AppState>,
    _: AuthGate,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let offered = RefreshToken::parse(&request.refresh_token).ok_or_else(refused)?;
    let now = state.clock.now();
    let session = state.sessions.find(&offered.session(), now).await?;
    let session = session.ok_or_else(refused)?;
    let (user, subscription) = tokio::try_join!(
        state.accounts.user(session.subscription, session.user),
        state.accounts.subscription(session.subscription),
    )?;
    let user = user.filter(|user| user.credentials == session.credentials);
    let (Some(user), Some(subscription)) = (user, subscription) else {
        state.sessions.end(&session.name).await?;
        return Err(refused());
    };
    if !user.active {
        return Err(ApiError::new(Code::Forbidden, "The user is not active"));
    }
    require_served(&user, &subscription)?;
    // Last: a token that is used up without an answer is a session that is lost.
    let next = RefreshToken::generate(Some(&offered));
    match state.sessions.rotate(&offered, &next, now).await? {
        Rotated::Done(_) => {}
        Rotated::Replayed(session) => {
            trail.record(&state, replayed(&session)).await;
            return Err(refused());
        }
        Rotated::Unknown => return Err(refused()),
    }
    let tokens = issue(&state, &user, &next)?;
    Ok(Reply::ok(Response {
        user: user.into(),
        tokens,
    }))
}

fn replayed(session: &Session) -> Record {
    Record::anonymous(Action::RefreshReplayed)
        .of(session.subscription)
        .actor(Actor::Anonymous)
        .on(session.user)
        .outcome(Outcome::Denied)
}

/// The same words whatever is wrong: they tell a thief nothing.
fn refused() -> ApiError {
    ApiError::new(
        Code::Unauthenticated,
        "The refresh token is not valid, was used before, or its session is over: log in again",
    )
}
