//! The user who invites the others of a subscription, and removes them.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;

use super::UserCaller;
use super::denied::deny;
use crate::http::error::ApiError;
use crate::state::Users;

/// A [`UserCaller`] who is its subscription's owner.
#[derive(Debug, Clone)]
pub struct Owner(pub UserCaller);

impl<S: Send + Sync> FromRequestParts<S> for Owner
where
    Users: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Box::pin(UserCaller::from_request_parts(parts, state)).await?;
        if caller.subscription.owner == caller.user.id {
            Ok(Self(caller))
        } else {
            Err(deny(
                parts,
                &Users::from_ref(state),
                &caller,
                "Only the subscription's owner may do this",
            )
            .await)
        }
    }
}
