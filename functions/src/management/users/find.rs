//! `{user}` in a path, of whichever subscription.

use shared::domain::account::User;
use shared::ids::UserId;

use crate::http::ApiError;
use crate::state::AppState;

/// The user that is meant.
pub async fn find(state: &AppState, id: UserId) -> Result<User, ApiError> {
    let found = state.accounts.find_user(id).await?;
    found.ok_or_else(|| ApiError::not_found("user"))
}
