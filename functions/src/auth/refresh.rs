//! `POST /api/auth/refresh`: a new pair of tokens for a refresh token, which is used up. Within a short grace it may come
//! once more.

use axum::extract::State;
use axum::http::Method;
use serde::{Deserialize, Serialize};
use shared::auth::session::{LIFETIME, RefreshToken, Session};
use shared::domain::audit::{Action, Actor, Outcome};
use shared::storage::sessions::Rotated;
use utoipa::ToSchema;

use super::cookie::RefreshCookie;
use super::lock::remember_network;
use super::tokens::{Carrier, Issued, Tokens, issue};
use super::view::UserView;
use crate::auth::AuthState;
use crate::endpoint::Endpoint;
use crate::http::caller::require_served;
use crate::http::{ApiError, AuthGate, Code, OptionalJsonBody, Record, Reply, Trail};
use crate::openapi::Tag;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// Where it is not here, the cookie's counts.
    #[schema(value_type = RefreshToken, required = false)]
    refresh_token: Option<String>,
    /// Whether the next refresh token is to be set as a cookie too, as it is where the present one came as one.
    #[serde(default)]
    cookie: bool,
}

#[derive(Serialize, ToSchema)]
pub struct Response {
    user: UserView,
    tokens: Tokens,
}

pub fn endpoint() -> Endpoint<AuthState> {
    Endpoint::new(Method::POST, "/api/auth/refresh", "refresh", handler)
        .about(
            Tag::Authentication,
            "Trades a refresh token for a new pair of tokens",
        )
        .details(
            "A refresh token is used up by this. Within 30 seconds it may come once more (two tabs, a lost answer), and is \
             given the same next token; using it again after that, or an older one, ends the session. Without a body the \
             token is taken from the cookie `waxwing_refresh`.",
        )
        .errors(&[Code::Unauthenticated, Code::Forbidden, Code::SubscriptionInactive])
}

pub async fn handler(
    State(state): State<AuthState>,
    _: AuthGate,
    trail: Trail,
    cookie: RefreshCookie,
    OptionalJsonBody(request): OptionalJsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let (offered, carrier) = match &request.refresh_token {
        Some(text) => (text.as_str(), Carrier::cookie_if(request.cookie)),
        None => match cookie.token()? {
            Some(text) => (text, Carrier::Cookie),
            None => return Err(ApiError::field("refreshToken", "is missing")),
        },
    };
    let offered = RefreshToken::parse(offered).ok_or_else(refused)?;
    let now = state.clock.now();
    let session = state.sessions.get(&offered.session(), now).await?;
    let session = session.ok_or_else(refused)?;
    let (user, subscription) = tokio::try_join!(
        state.accounts.get_user(session.subscription, session.user),
        state.accounts.get_subscription(session.subscription),
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
    // This comes last: a token that is used up without an answer is a lost session. So the secrets that sign are renewed before.
    state.signer.renew(now).await;
    let next = match state.sessions.rotate(&offered, now).await? {
        Rotated::Done(next) => next,
        Rotated::Replayed(session) => {
            trail.record(&state, replayed(&session)).await;
            return Err(refused());
        }
        Rotated::Unknown => return Err(refused()),
    };
    // With the first refresh of a day, a session keeps its user's network known, as logins do.
    let last = session.expires_at - LIFETIME;
    if last.date_naive() != now.date_naive() {
        remember_network(&state, &trail, &user.email).await;
    }
    let Issued { tokens, cookie } = issue(&state, &user, &next, carrier).await?;
    let response = Response {
        user: user.into(),
        tokens,
    };
    Ok(Reply::ok(response).cookie(cookie))
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
