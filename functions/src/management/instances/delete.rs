//! `DELETE /api/instances/{instance}`: nobody finds it any more and its keys are revoked, at
//! once. Its shard's daemon unlinks it from its phone and removes what it leaves.

use axum::extract::State;
use axum::http::Method;
use serde::Serialize;
use shared::domain::audit::Action;
use shared::ids::InstanceId;
use shared::storage::instances::Deleted;
use utoipa::ToSchema;

use super::desired::nudge;
use super::find::{InstanceRef, find};
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, Path, Record, Reply, Trail, log};
use crate::openapi::{Operation, Tag};
use crate::state::AppState;

#[derive(Serialize, ToSchema)]
pub struct Response {
    id: InstanceId,
    deleted: bool,
}

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(
        Method::DELETE,
        "/api/instances/{instance}",
        "deleteInstance",
        handler,
    )
    .about(Tag::Instances, "Deletes an instance with all that it leaves")
    .details("It is unlinked from its phone, and its keys are revoked at once.")
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<AppState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<Response>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let now = state.clock.now();
    match state.instances.delete(&instance, now).await? {
        Deleted::Done => {}
        Deleted::Stale => {
            // Of two who delete it the second finds nothing.
            find(&state, caller.subscription.id, &InstanceRef::Id(instance.id)).await?;
            return Err(ApiError::new(
                Code::Conflict,
                "The instance was given another name by another request meanwhile",
            ));
        }
    }
    if let Err(error) = state.api_keys.revoke_all(instance.id, now).await {
        // It is deleted, and the daemon revokes what is left of them.
        log::went_wrong(
            &error.into(),
            "the keys of a deleted instance could not be revoked",
        );
    }
    let record = Record::by(&caller.user, Action::InstanceDeleted).on(instance.id);
    trail.record(&state, record).await;
    // An instance of a network that is not served any more can be deleted too.
    if state.queue_names(instance.network).is_ok() {
        nudge(&state, &instance).await?;
    }
    Ok(Reply::ok(Response {
        id: instance.id,
        deleted: true,
    }))
}
