//! The shard's second queue: nudges, and the queries that need the socket.

use std::sync::Arc;

use futures::future::join_all;
use shared::domain::job::Query;
use shared::domain::payload::{self, PayloadError};
use shared::queue::Received;
use shared::queue::consumer::{Consumer, Done};
use shared::queue::deployment::QUERIES_VISIBILITY;
use shared::telemetry::chain;
use tracing::{error, warn};

use super::pace;
use super::reconcile::Reconciler;
use crate::deps::Deps;
use crate::lease::Hold;

/// Takes from the queue until the shard is given up.
pub async fn consume(deps: &Arc<Deps>, hold: &Hold, reconciler: &Arc<Reconciler>) {
    let queue = deps.names.queries(hold.shard.0);
    let consumer = Consumer::new(deps.queue.clone(), queue, QUERIES_VISIBILITY);
    let take = |messages: Vec<Received>| {
        let consumer = &consumer;
        async move {
            let following = messages
                .iter()
                .map(|message| consumer.finish(message, follow(reconciler, message)));
            join_all(following).await;
        }
    };
    consumer.run(super::over(hold), take).await;
}

/// Follows a nudge. What cannot be followed now waits for this daemon or for a newer one as long as the queue keeps it,
/// and is received too seldom to be taken for poison.
async fn follow(reconciler: &Arc<Reconciler>, message: &Received) -> Done {
    let leave = Done::LeaveFor(pace::nudge(message.receive_count));
    match payload::decode(&message.body) {
        Ok(Query::Nudge { instance }) => match reconciler.look_at(instance).await {
            Ok(()) => Done::Delete,
            Err(error) => {
                // The sweep finds it too.
                warn!(instance.id = %instance, error = %chain(&error), "could not follow a nudge");
                leave
            }
        },
        Err(PayloadError::Newer(version)) => {
            warn!(version, "left a query of a newer version");
            leave
        }
        Err(error) => {
            error!(error = %chain(&error), "dropped a malformed query");
            Done::Delete
        }
    }
}
