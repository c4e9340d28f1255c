//! `DELETE /api/instances/{instance}`. At once nobody finds it any more, its keys are revoked and its webhook is gone. Its
//! shard's daemon unlinks it from its phone and removes what it leaves.

use axum::extract::State;
use axum::http::Method;
use shared::domain::account::User;
use shared::domain::audit::Action;
use shared::domain::instance::Instance;
use shared::storage::instances::Deleted as Outcome;

use super::find::{InstanceRef, find};
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, Deleted, Path, Record, Reply, Trail, log};
use crate::management::ManagementState;
use crate::nudge::{PATIENT, nudge};
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::DELETE,
        "/api/instances/{instance}",
        "deleteInstance",
        handler,
    )
    .about(Tag::Instances, "Deletes an instance with all that it leaves")
    .details("It is unlinked from its phone. Its keys are revoked and its webhook is deleted at once.")
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<Deleted>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    match delete(&state, &trail, &caller.user, &instance).await? {
        Outcome::Done => {}
        Outcome::Stale => {
            // Of two requests that delete it the second finds nothing.
            find(&state, caller.subscription.id, &InstanceRef::Id(instance.id)).await?;
            return Err(ApiError::new(
                Code::Conflict,
                "The instance was given another name by another request meanwhile",
            ));
        }
    }
    Ok(Reply::ok(Deleted::of(instance.id)))
}

/// Deletes an instance as it was read, its keys and its webhook with it, and has its shard end it.
pub async fn delete(
    state: &ManagementState,
    trail: &Trail,
    actor: &User,
    instance: &Instance,
) -> Result<Outcome, ApiError> {
    let now = state.clock.now();
    if state.instances.delete(instance, now).await? == Outcome::Stale {
        return Ok(Outcome::Stale);
    }
    if let Err(error) = state.api_keys.revoke_all(instance.id, now).await {
        // The instance is deleted, and the daemon revokes the keys that are left.
        log::went_wrong(
            &error.into(),
            "the keys of a deleted instance could not be revoked",
        );
    }
    if let Err(error) = state.hooks.webhooks.forget(instance.id).await {
        // The daemon forgets it as well.
        log::went_wrong(
            &error.into(),
            "the webhook of a deleted instance could not be forgotten",
        );
    }
    let record = Record::by(actor, Action::InstanceDeleted).of(instance.subscription);
    trail.record(state, record.on(instance.id)).await;
    nudge(state, instance.network, instance.shard, instance.id, PATIENT).await;
    Ok(Outcome::Done)
}
