//! `{user}` in a path, of whichever subscription.

use shared::domain::account::User;
use shared::ids::UserId;

use crate::http::ApiError;
use crate::management::ManagementState;

/// The user that is meant.
pub async fn find(state: &ManagementState, id: UserId) -> Result<User, ApiError> {
    let found = state.accounts.get_user_of_any(id).await?;
    found.ok_or_else(|| ApiError::not_found("user"))
}
