//! `POST /api/instances/{instance}/connect`: asks for a connection, which its shard's
//! daemon makes.

use axum::extract::State;
use shared::domain::instance::Wanted;
use shared::domain::job::{self, Query};
use shared::queue::OutgoingMessage;

use super::find::{InstanceRef, find};
use super::status;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Path, Reply};
use crate::presence::Presence;
use crate::state::AppState;

pub async fn handler(
    State(state): State<AppState>,
    caller: UserCaller,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<status::Response>, ApiError> {
    let mut instance = find(&state, caller.subscription.id, &which).await?;
    let queries = state.queue_names(instance.network)?.queries(instance.shard.0);
    let wanted = state.instances.want(instance.id, Wanted::Connected).await?;
    let generation = wanted.ok_or_else(|| ApiError::not_found("instance"))?;
    instance.desired.wanted = Wanted::Connected;
    instance.desired.generation = generation;
    let nudge = job::encode(&Query::Nudge {
        instance: instance.id,
    });
    if let Err(error) = state.queue.send(&queries, OutgoingMessage::standard(nudge)).await {
        // What is wanted is stored, and the daemon's sweep finds it within a minute.
        tracing::warn!(instance.id = %instance.id, error = %error, "the shard could not be nudged");
    }
    let presence = Presence::of(&state, [&instance]).await?;
    Ok(Reply::accepted(status::Response::new(instance, &presence)))
}
