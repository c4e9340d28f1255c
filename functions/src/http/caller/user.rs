//! A user who is logged in: management routes.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use shared::domain::account::{Subscription, User};

use super::bearer::{Bearer, bearer};
use super::require_active;
use crate::http::error::{ApiError, Code};
use crate::state::AppState;

/// A user with a valid access token, active, of an active subscription.
#[derive(Debug, Clone)]
pub struct UserCaller {
    /// The user.
    pub user: User,
    /// The user's subscription: the tenant of all that the request does.
    pub subscription: Subscription,
}

impl FromRequestParts<AppState> for UserCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let token = match bearer(&parts.headers)? {
            Bearer::Jwt(token) => token,
            Bearer::Key(_) => {
                return Err(ApiError::new(
                    Code::Unauthenticated,
                    "This route wants the access token of a login, not an API key",
                ));
            }
        };
        let claims = state.jwts.verify(token, state.clock.now())?;
        // Read anew: a token outlives what was true when it was made.
        let (user, subscription) = tokio::try_join!(
            state.accounts.user(claims.sid, claims.sub),
            state.accounts.subscription(claims.sid),
        )?;
        let (Some(user), Some(subscription)) = (user, subscription) else {
            return Err(ApiError::new(
                Code::Unauthenticated,
                "The access token's user does not exist any more",
            ));
        };
        if !user.active {
            return Err(ApiError::new(Code::Forbidden, "The user is not active"));
        }
        Ok(Self {
            user,
            subscription: require_active(subscription)?,
        })
    }
}
