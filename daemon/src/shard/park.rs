//! Jobs that cannot be done go to the dead letters, with the reason.

use shared::queue::{OutgoingMessage, QueueError, Received};
use tracing::error;

use crate::deps::Deps;
use crate::lease::Hold;

/// Puts a copy of a job into the dead letters. The job itself is the caller's to delete, once all else is stored.
pub async fn set_aside(deps: &Deps, hold: &Hold, job: &Received, reason: &str) -> Result<(), QueueError> {
    let group = job.group.as_deref().unwrap_or("parked");
    set_aside_body(deps, hold, &job.body, group, &job.message_id, reason).await
}

/// The same for a job that is in no queue, by its payload and an id of it.
pub async fn set_aside_body(
    deps: &Deps,
    hold: &Hold,
    body: &str,
    group: &str,
    id: &str,
    reason: &str,
) -> Result<(), QueueError> {
    let queue = deps.names.sends(hold.shard.0);
    let body = serde_json::json!({ "reason": reason, "queue": queue.as_str(), "body": body }).to_string();
    let letter = OutgoingMessage::fifo(body, group, id);
    deps.queue.send(&deps.names.dead_fifo(), letter).await?;
    error!(%queue, job.id = id, reason, "parked a job that cannot be done");
    Ok(())
}
