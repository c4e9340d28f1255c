//! Asks the daemon that holds an instance's shard for something: what is wanted is stored,
//! and the shard nudged.

use shared::domain::instance::{Desired, Instance};
use shared::domain::job::{self, Query};
use shared::queue::OutgoingMessage;
use shared::storage::StorageError;

use super::status;
use crate::http::{ApiError, Reply, log};
use crate::presence::Presence;
use crate::state::AppState;

/// Stores by `wanting` what is wanted of the instance, and tells its shard. The answer has
/// the status as it is by now.
pub async fn ask(
    state: &AppState,
    mut instance: Instance,
    wanting: impl Future<Output = Result<Option<Desired>, StorageError>>,
) -> Result<Reply<status::Response>, ApiError> {
    // A network that is not served any more has no shard to tell.
    state.queue_names(instance.network)?;
    instance.desired = wanting.await?.ok_or_else(|| ApiError::not_found("instance"))?;
    nudge(state, &instance).await?;
    let presence = Presence::of(state, [&instance]).await?;
    Ok(Reply::accepted(status::Response::new(instance, &presence)))
}

/// Has the instance's shard look at it.
pub async fn nudge(state: &AppState, instance: &Instance) -> Result<(), ApiError> {
    let queries = state.queue_names(instance.network)?.queries(instance.shard.0);
    let nudge = job::encode(&Query::Nudge {
        instance: instance.id,
    });
    if let Err(error) = state.queue.send(&queries, OutgoingMessage::standard(nudge)).await {
        // What is wanted is stored, and the daemon's sweep finds it within a minute.
        log::went_wrong(&error.into(), "the shard could not be nudged");
    }
    Ok(())
}
