//! `DELETE /api/instances/{instance}/keys/{key}`: revokes the key at once.

use axum::extract::State;
use axum::http::Method;
use shared::domain::audit::Action;
use shared::storage::api_keys::KeyChanged;

use super::find::{KeyPath, find};
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, Deleted, Record, Reply, Trail};
use crate::management::ManagementState;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::DELETE,
        "/api/instances/{instance}/keys/{key}",
        "revokeKey",
        handler,
    )
    .about(Tag::Keys, "Revokes an API key, at once")
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    axum::extract::Path(path): axum::extract::Path<KeyPath>,
) -> Result<Reply<Deleted>, ApiError> {
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
    Ok(Reply::ok(Deleted::of(key.grant.key)))
}
