//! The shard's queue of sends: takes jobs and hands them to their lanes.

use std::sync::Arc;

use shared::queue::deployment::SENDS_VISIBILITY;
use shared::queue::{MAX_WAIT, ReceiveOptions};
use shared::telemetry::chain;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::PAUSE_AFTER_FAILURE;
use super::lanes::Lanes;
use crate::deps::Deps;
use crate::instance::link::Links;
use crate::lease::Hold;

/// Takes from the queue until the shard is given up. Lanes run in `tasks`.
pub async fn consume(deps: &Arc<Deps>, hold: &Hold, links: &Arc<Links>, tasks: &TaskTracker) {
    let queue = deps.names.sends(hold.shard.0);
    let lanes = Lanes::new(deps.clone(), hold.clone(), links.clone(), tasks.clone());
    let options = ReceiveOptions {
        max: 10,
        wait: MAX_WAIT,
        visibility: SENDS_VISIBILITY,
    };
    while !super::is_over(hold) {
        let received = tokio::select! {
            received = deps.queue.receive(&queue, options) => received,
            () = super::over(hold) => return,
        };
        match received {
            Ok(jobs) => lanes.take(jobs),
            Err(error) => {
                warn!(%queue, error = %chain(&error), "could not receive");
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}
