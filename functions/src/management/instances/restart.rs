//! `POST /api/instances/{instance}/restart`: asks its shard's daemon to end the
//! connection, where there is one, and to make another.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use shared::domain::audit::Action;

use super::desired::ask;
use super::find::{InstanceRef, find};
use super::status;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Path, Record, Reply, Trail};
use crate::openapi::{Operation, Tag};
use crate::state::AppState;

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(
        Method::POST,
        "/api/instances/{instance}/restart",
        "restartInstance",
        handler,
    )
    .about(Tag::Instances, "Asks to end the connection and to make another")
    .status(StatusCode::ACCEPTED)
}

pub async fn handler(
    State(state): State<AppState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<status::Response>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let record = Record::by(&caller.user, Action::InstanceRestart).on(instance.id);
    let wanting = state.instances.want_restart(instance.id);
    let reply = ask(&state, instance, wanting).await?;
    trail.record(&state, record).await;
    Ok(reply)
}
