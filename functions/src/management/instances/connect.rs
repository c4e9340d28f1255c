//! `POST /api/instances/{instance}/connect`: asks for a connection, which its shard's
//! daemon makes.

use axum::extract::State;
use axum::http::{Method, StatusCode};
use shared::domain::audit::Action;
use shared::domain::instance::Wanted;

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
        "/api/instances/{instance}/connect",
        "connectInstance",
        handler,
    )
    .about(Tag::Instances, "Asks for a connection")
    .status(StatusCode::ACCEPTED)
}

pub async fn handler(
    State(state): State<AppState>,
    caller: UserCaller,
    trail: Trail,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<status::Response>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let record = Record::by(&caller.user, Action::InstanceConnect).on(instance.id);
    let wanting = state.instances.want(instance.id, Wanted::Connected);
    let reply = ask(&state, instance, wanting).await?;
    trail.record(&state, record).await;
    Ok(reply)
}
