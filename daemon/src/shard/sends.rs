//! The shard's queue of sends: takes jobs and works off each lane in order.

use std::sync::Arc;
use std::time::Duration;

use shared::queue::names::SENDS_VISIBILITY;
use shared::queue::{MAX_WAIT, OutgoingMessage, ReceiveOptions, Received};
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use super::PAUSE_AFTER_FAILURE;
use super::hold::Held;
use super::send::{Done, Sender};
use crate::deps::Deps;
use crate::instance::link::Links;
use crate::lease::{Hold, chain};

/// Where a job of a newer version waits for a newer daemon.
const NEWER_VERSION_WAIT: Duration = Duration::from_mins(1);

/// Takes from the queue until the shard is given up. Lanes run in `lanes`.
pub async fn consume(deps: &Arc<Deps>, hold: &Hold, links: &Arc<Links>, lanes: &TaskTracker) {
    let queue = deps.names.sends(hold.shard.0);
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
            Ok(jobs) => {
                for lane in by_lane(jobs) {
                    lanes.spawn(work_off(deps.clone(), hold.clone(), links.clone(), lane));
                }
            }
            Err(error) => {
                warn!(%queue, error = %chain(&error), "could not receive");
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}

/// Splits what was received into lanes, each in its order.
fn by_lane(jobs: Vec<Received>) -> Vec<Vec<Received>> {
    let mut lanes: Vec<Vec<Received>> = Vec::new();
    for job in jobs {
        match lanes.iter_mut().find(|lane| lane[0].group == job.group) {
            Some(lane) => lane.push(job),
            None => lanes.push(vec![job]),
        }
    }
    lanes
}

/// Works off the jobs of one lane, one after the other. While a job is held none behind
/// it is received.
async fn work_off(deps: Arc<Deps>, hold: Hold, links: Arc<Links>, jobs: Vec<Received>) {
    let queue = deps.names.sends(hold.shard.0);
    let mut in_hand = deps.meter.jobs.count(jobs.len());
    let lane = Held::new(jobs.iter().map(|job| job.receipt.clone()).collect());
    let worker = Sender {
        deps: &deps,
        hold: &hold,
        links: &links,
        held: &lane,
    };
    let working = async {
        for job in &jobs {
            match worker.run(job).await {
                Done::Delete => {
                    lane.let_go(&job.receipt);
                    if let Err(error) = deps.queue.delete(&queue, &job.receipt).await {
                        // It comes again, and its message's state says that it is done.
                        warn!(%queue, error = %chain(&error), "could not delete a job that is done");
                    }
                }
                Done::Park(reason) => {
                    lane.let_go(&job.receipt);
                    park(&deps, &hold, job, &reason).await;
                }
                Done::LeaveFor(pause) => {
                    for receipt in lane.let_all_go() {
                        if let Err(error) = deps.queue.extend(&queue, &receipt, pause).await {
                            warn!(%queue, error = %chain(&error), "could not hide a job");
                        }
                    }
                    return;
                }
            }
            in_hand.one_less();
        }
    };
    tokio::select! {
        () = working => {}
        () = lane.keep(deps.queue.as_ref(), &queue) => warn!(%queue, "another consumer has taken a held job"),
        () = hold.fence.revoked() => {}
    }
}

/// Moves a job that cannot be done to the dead letters, with the reason.
async fn park(deps: &Deps, hold: &Hold, job: &Received, reason: &str) {
    let queue = deps.names.sends(hold.shard.0);
    error!(%queue, job.id = job.message_id, reason, "parked a job that cannot be done");
    let body = serde_json::json!({ "reason": reason, "queue": queue.as_str(), "body": job.body }).to_string();
    let group = job.group.clone().unwrap_or_else(|| "parked".to_owned());
    let parked = deps
        .queue
        .send(
            &deps.names.dead_fifo(),
            OutgoingMessage::fifo(body, group, job.message_id.clone()),
        )
        .await;
    let gone = match parked {
        Ok(_) => deps.queue.delete(&queue, &job.receipt).await,
        Err(error) => Err(error),
    };
    if let Err(error) = gone {
        warn!(%queue, error = %chain(&error), "could not park a job");
    }
}

/// What a job of a newer version does.
pub const fn left_for_a_newer_daemon() -> Done {
    Done::LeaveFor(NEWER_VERSION_WAIT)
}
