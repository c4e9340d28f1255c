//! The shard's second queue: nudges, and the queries that need the socket.

use std::sync::Arc;

use shared::domain::job::Query;
use shared::domain::payload::{self, PayloadError};
use shared::queue::deployment::QUERIES_VISIBILITY;
use shared::queue::{MAX_WAIT, ReceiveOptions, Received};
use shared::telemetry::chain;
use tracing::{error, warn};

use super::PAUSE_AFTER_FAILURE;
use super::pace;
use super::reconcile::Reconciler;
use crate::deps::Deps;
use crate::lease::Hold;

/// Takes from the queue until the shard is given up.
pub async fn consume(deps: &Arc<Deps>, hold: &Hold, reconciler: &Arc<Reconciler>) {
    let queue = deps.names.queries(hold.shard.0);
    let options = ReceiveOptions {
        max: 10,
        wait: MAX_WAIT,
        visibility: QUERIES_VISIBILITY,
    };
    while !super::is_over(hold) {
        let received = tokio::select! {
            received = deps.queue.receive(&queue, options) => received,
            () = super::over(hold) => return,
        };
        match received {
            Ok(messages) => {
                for message in messages {
                    answer(deps, hold, reconciler, &message).await;
                }
            }
            Err(error) => {
                warn!(%queue, error = %chain(&error), "could not receive");
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}

async fn answer(deps: &Deps, hold: &Hold, reconciler: &Arc<Reconciler>, message: &Received) {
    let queue = deps.names.queries(hold.shard.0);
    match payload::decode(&message.body) {
        Ok(Query::Nudge { instance }) => {
            if let Err(error) = reconciler.look_at(instance).await {
                // It comes again, and the sweep finds it too.
                warn!(instance.id = %instance, error = %chain(&error), "could not follow a nudge");
                leave(deps, hold, message).await;
                return;
            }
        }
        Err(PayloadError::Newer(version)) => {
            warn!(%queue, version, "left a query of a newer version");
            leave(deps, hold, message).await;
            return;
        }
        Err(error) => error!(%queue, error = %chain(&error), "dropped a malformed query"),
    }
    if let Err(error) = deps.queue.delete(&queue, &message.receipt).await {
        warn!(%queue, error = %chain(&error), "could not delete a query");
    }
}

/// Leaves a message in the queue, for this daemon later or for a newer one. It waits there for as
/// long as the queue keeps it, and is received too seldom to be taken for poison.
async fn leave(deps: &Deps, hold: &Hold, message: &Received) {
    let queue = deps.names.queries(hold.shard.0);
    let pause = pace::nudge(message.receive_count);
    if let Err(error) = deps.queue.extend(&queue, &message.receipt, pause).await {
        warn!(%queue, error = %chain(&error), "could not hide a query");
    }
}
