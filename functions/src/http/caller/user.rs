//! A user who is logged in: management routes.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use shared::auth::login::{Login, NoLogin};
use shared::auth::session::Session;
use shared::domain::account::{Subscription, User};
use shared::domain::audit::Actor;
use shared::storage::rates::Scope;

use super::bearer::{Bearer, bearer};
use super::{require_served, session_over};
use crate::http::context::RequestContext;
use crate::http::error::{ApiError, Code};
use crate::http::rate_limit;
use crate::state::Users;

/// A user with a valid access token, active, of an active subscription.
#[derive(Debug, Clone)]
pub struct UserCaller {
    /// The user.
    pub user: User,
    /// The user's subscription: the tenant of all that the request does.
    pub subscription: Subscription,
    /// The session of the access token.
    pub session: Session,
}

impl<S: Send + Sync> FromRequestParts<S> for UserCaller
where
    Users: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let state = Users::from_ref(state);
        let token = match bearer(&parts.headers)? {
            Bearer::Jwt(token) => token,
            Bearer::Key(_) => {
                return Err(ApiError::new(
                    Code::Unauthenticated,
                    "This route wants the access token of a login, not an API key",
                ));
            }
        };
        let now = state.clock.now();
        let claims = state.jwts.verified(token, now).await?;
        // All is read anew, since it may have changed after the token was made.
        let (user, subscription, session) = tokio::try_join!(
            state.accounts.get_user(claims.sid, claims.sub),
            state.accounts.get_subscription(claims.sid),
            state.sessions.get(&claims.family, now),
        )?;
        let (Some(user), Some(subscription)) = (user, subscription) else {
            return Err(ApiError::new(
                Code::Unauthenticated,
                "The access token's user does not exist any more",
            ));
        };
        RequestContext::note_caller(user.subscription, Actor::User(user.id));
        let login = Login::of(user, subscription, session).map_err(|refused| match refused {
            NoLogin::SessionOver => session_over(),
            NoLogin::UserInactive => ApiError::new(Code::Forbidden, "The user is not active"),
        })?;
        let Login {
            user,
            subscription,
            session,
        } = login;
        let rate = state
            .rates
            .count(Scope::User(user.id), state.user_limit, now)
            .await?;
        rate_limit::admit(&parts.extensions, rate, now)?;
        require_served(&user, &subscription)?;
        Ok(Self {
            user,
            subscription,
            session,
        })
    }
}
