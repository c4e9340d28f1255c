//! What a daemon does for one shard while it holds the lease: it keeps the shard's
//! instances as they are wanted, is the only consumer of its two queues, and hands over what is due.
//!
//! | instances | |
//! | --- | --- |
//! | `reconcile` | compares what is wanted of each with what is observed, and makes them agree |
//! | `farewell` | the last work for one that is logged out or deleted |
//!
//! | the first queue | |
//! | --- | --- |
//! | `jobs` | takes jobs and hands them to their lanes |
//! | `lanes` | which job is where, and in what order they are done |
//! | `records` | records of messages whose jobs came together |
//! | `send` | one message, from its job to its stored state |
//! | `journey` | what is known of its way, and how that ends |
//! | `traced` | its spans, where tracing is on |
//! | `park` | a job that cannot be done goes to the dead letters |
//!
//! | what a message needs before the wire | |
//! | --- | --- |
//! | `files`, `previews` | its file at WhatsApp; the preview of its link |
//! | `destination` | its number as WhatsApp spells it |
//! | `keys`, `agreements` | keys of the many that it goes to, which may go on in the background |
//! | `audience` | those who see it, of a status |
//! | `pacer`, `typing` | its place among those of a minute; "… is typing" |
//!
//! | on the wire, and after it | |
//! | --- | --- |
//! | `attempt` | brings it to the server, over as many connections as its time allows |
//! | `wire`, `pace` | which messages are on the wire together, and the pauses |
//! | `judge`, `verdict` | what follows from an attempt, and from the error of an acknowledgement |
//! | `deviceless` | when a recipient is believed to have no device |
//! | `reachout` | a time in which the account may begin no chats |
//! | `recall` | a message that was taken back while it went out |
//!
//! | what waits elsewhere | |
//! | --- | --- |
//! | `put_off` | a job goes to the due index |
//! | `agenda`, `clerk` | when the next message is due, and handing over those that are |
//! | `kept_back`, `room` | what could not be handed over, and how much may be |
//!
//! | the second queue | |
//! | --- | --- |
//! | `queries` | nudges and questions |
//! | `questions` | answers many at once |
//! | `fetching`, `reading` | of these: a file that came in; marking a chat as read |

mod agenda;
mod agreements;
mod attempt;
mod audience;
mod clerk;
mod destination;
mod deviceless;
mod farewell;
mod fetching;
mod files;
mod jobs;
mod journey;
mod judge;
mod kept_back;
mod keys;
mod lanes;
mod pace;
mod pacer;
mod park;
mod previews;
mod put_off;
mod queries;
mod questions;
mod reachout;
mod reading;
mod recall;
mod reconcile;
mod records;
mod room;
mod send;
mod traced;
mod typing;
mod verdict;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::queue::MAX_WAIT;
use shared::storage::leases::Load;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::info;

use self::agenda::Agenda;
pub use self::audience::AUDIENCE_DEADLINE;
pub use self::keys::KEYS_PATIENCE;
use self::reconcile::Reconciler;
use self::wire::Wires;
use crate::deps::Deps;
use crate::instance::link::Links;
use crate::lease::{Hold, Holder};

/// The time between two sweeps, which find what a lost nudge asked for.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// The time between sweeps right after the shard is taken, for as long as a poll may last. The last owner's poll goes
/// on in SQS after its connection has closed, and a nudge that is given to that poll stays hidden for the queue's
/// visibility time.
const FIRST_SWEEPS_INTERVAL: Duration = Duration::from_secs(4);

/// The pause after a sweep that could not read the table, however often it tried.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Serves shards.
#[derive(Debug, Clone)]
pub struct Shards {
    deps: Arc<Deps>,
    runtime: Handle,
}

impl Shards {
    /// Serves shards with these, on this runtime.
    pub fn new(deps: Arc<Deps>, runtime: Handle) -> Self {
        Self { deps, runtime }
    }
}

impl Holder for Shards {
    fn serve(&self, hold: Hold) -> JoinHandle<()> {
        self.runtime.spawn(serve(self.deps.clone(), hold))
    }

    fn runtime(&self) -> Handle {
        self.runtime.clone()
    }

    fn round_trips_since(&self) -> Option<DateTime<Utc>> {
        self.deps.round_trips.oldest()
    }

    fn load(&self) -> Load {
        let meter = &self.deps.meter;
        Load {
            sessions_held: meter.sessions.get(),
            sessions_connected: u64::try_from(self.deps.round_trips.count()).unwrap_or(u64::MAX),
            jobs_in_hand: meter.jobs.get(),
            sent_last_minute: meter.sent.count(Instant::now()),
        }
    }
}

async fn serve(deps: Arc<Deps>, hold: Hold) {
    let links = Arc::new(Links::default());
    let wires = Arc::new(Wires::default());
    // The lanes of sends, and questions.
    let work = TaskTracker::new();
    let reconciler = Arc::new(Reconciler::new(
        deps.clone(),
        hold.clone(),
        links.clone(),
        wires.clone(),
    ));
    let agenda = Arc::new(Agenda::default());
    tokio::join!(
        sweep(&reconciler, &hold),
        agenda::keep(&deps, &hold, &links, &agenda),
        queries::consume(&deps, &hold, &links, &reconciler, &agenda, &work),
        jobs::consume(&deps, &hold, &links, &wires, &agenda, &work),
    );
    // Nothing new is taken any more. What is on the wire gets its acknowledgement, or its answer, then
    // the sockets close.
    work.close();
    work.wait().await;
    reconciler.stop_all().await;
    info!(shard = %hold.shard, lost = hold.fence.is_revoked(), "shard no longer served");
}

async fn sweep(reconciler: &Arc<Reconciler>, hold: &Hold) {
    let settled = Instant::now() + MAX_WAIT;
    while !is_over(hold) {
        let begun = Instant::now();
        let swept = tokio::select! {
            swept = reconciler.sweep() => swept,
            () = over(hold) => return,
        };
        let pause = if !swept {
            PAUSE_AFTER_FAILURE
        } else if begun < settled {
            FIRST_SWEEPS_INTERVAL
        } else {
            SWEEP_INTERVAL
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = over(hold) => {}
        }
    }
}

fn is_over(hold: &Hold) -> bool {
    hold.drain.is_cancelled() || hold.fence.is_revoked()
}

/// Waits until the shard is to be given up, in order or not.
async fn over(hold: &Hold) {
    tokio::select! {
        () = hold.drain.cancelled() => {}
        () = hold.fence.revoked() => {}
    }
}
