//! A user who may see and change every subscription.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use shared::domain::account::Role;

use super::UserCaller;
use super::denied::deny;
use crate::http::error::ApiError;
use crate::state::Users;

/// A [`UserCaller`] whose role is `ADMINISTRATOR`, as it is now, not as the token says.
#[derive(Debug, Clone)]
pub struct Administrator(pub UserCaller);

impl<S: Send + Sync> FromRequestParts<S> for Administrator
where
    Users: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let caller = Box::pin(UserCaller::from_request_parts(parts, state)).await?;
        match caller.user.role {
            Role::Administrator => Ok(Self(caller)),
            Role::User => Err(deny(
                parts,
                &Users::from_ref(state),
                &caller,
                "Only an administrator may do this",
            )
            .await),
        }
    }
}
