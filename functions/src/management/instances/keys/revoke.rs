//! `DELETE /api/instances/{instance}/keys/{key}`: the key is good no longer, at once.

use axum::extract::State;
use shared::domain::audit::Action;
use shared::storage::api_keys::KeyChanged;

use super::find::{KeyPath, find};
use super::view::KeyView;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, Record, Reply, Trail};
use crate::state::AppState;

pub async fn handler(
    State(state): State<AppState>,
    caller: UserCaller,
    trail: Trail,
    axum::extract::Path(path): axum::extract::Path<KeyPath>,
) -> Result<Reply<KeyView>, ApiError> {
    let key = find(&state, caller.subscription.id, &path).await?;
    match state.api_keys.revoke(&key, state.clock.now()).await? {
        KeyChanged::Done => {}
        KeyChanged::Stale => {
            return Err(ApiError::new(
                Code::Conflict,
                "The API key was rotated or revoked by another request meanwhile",
            ));
        }
    }
    let record = Record::by(&caller.user, Action::KeyRevoked).on(key.grant.key);
    trail.record(&state, record).await;
    Ok(Reply::ok(key.into()))
}
