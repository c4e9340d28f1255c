//! The shard's queue of sends: takes jobs and hands them to their lanes.

use std::sync::Arc;

use shared::queue::consumer::Consumer;
use shared::queue::deployment::SENDS_VISIBILITY;
use tokio_util::task::TaskTracker;

use super::agenda::Agenda;
use super::lanes::Lanes;
use super::wire::Wires;
use crate::deps::Deps;
use crate::instance::link::Links;
use crate::lease::Hold;

/// Takes from the queue until the shard is given up. Lanes run in `tasks`.
pub async fn consume(
    deps: &Arc<Deps>,
    hold: &Hold,
    links: &Arc<Links>,
    wires: &Arc<Wires>,
    agenda: &Arc<Agenda>,
    tasks: &TaskTracker,
) {
    let queue = deps.names.sends(hold.shard.0);
    let consumer = Consumer::new(deps.queue.clone(), queue, SENDS_VISIBILITY);
    let lanes = Lanes::new(
        deps.clone(),
        consumer.clone(),
        hold.clone(),
        links.clone(),
        wires.clone(),
        agenda.clone(),
        tasks.clone(),
    );
    let take = |jobs| {
        lanes.take(jobs);
        std::future::ready(())
    };
    consumer.run(super::over(hold), take).await;
}
