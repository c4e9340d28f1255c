//! Whether the daemon can do its work: the table, the queues, its own beat and, for the realtime feed, the way to other
//! daemons.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::json;
use shared::clock::Clock;
use shared::queue::{Queue, QueueNames};
use shared::storage::leases::Leases;
use shared::storage::{Table, keys};
use shared::telemetry::chain;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;

use crate::lease::HeldShards;
use crate::realtime::health::{Condition, Probe};
use crate::realtime::{Load, Realtime};

/// For how long an answer counts. So whoever asks, however often, costs a look every few seconds.
const COUNTS_FOR: Duration = Duration::from_secs(5);

/// How long a look may take.
const DEADLINE: Duration = Duration::from_secs(4);

/// What `/ready` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// `ready` or `not_ready`.
    pub status: &'static str,
    /// Whether each thing that is needed is there.
    pub checks: Checks,
    /// What is wrong, for people.
    pub problems: Vec<&'static str>,
    /// How many shards it holds.
    pub shards_held: usize,
    /// How many daemons live, this one among them.
    pub daemons: usize,
    /// What the realtime feed has in hand; `null` where it is off.
    pub realtime: Option<Load>,
}

/// Whether each thing that is needed is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a check of its own")]
pub struct Checks {
    /// The table answers.
    pub store: bool,
    /// The queues answer.
    pub queue: bool,
    /// The daemon's own beat is in the table, so its leases live.
    pub leases: bool,
    /// Events of all daemons come to the realtime feed of this one; `true` where it has none.
    pub realtime: bool,
}

impl Checks {
    /// Whether all are there.
    pub fn all(self) -> bool {
        let Self {
            store,
            queue,
            leases,
            realtime,
        } = self;
        store && queue && leases && realtime
    }
}

impl Readiness {
    /// Whether it can do its work.
    pub fn is_ready(&self) -> bool {
        self.checks.all()
    }
}

/// What a daemon looks at to tell whether it can do its work.
#[derive(Debug)]
pub struct Parts {
    /// The table.
    pub table: Table,
    /// The leases of its network.
    pub leases: Leases,
    /// The queues.
    pub queue: Arc<dyn Queue>,
    /// Their names.
    pub names: QueueNames,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// What it is called.
    pub daemon: String,
    /// What it holds.
    pub holding: HeldShards,
    /// The realtime feed, where it is on.
    pub realtime: Option<Realtime>,
}

/// A daemon's health.
#[derive(Debug)]
pub struct Health {
    parts: Parts,
    last: Mutex<Option<(Instant, Readiness)>>,
}

impl Health {
    /// A daemon's health. It is looked at when somebody asks.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            last: Mutex::default(),
        }
    }

    /// The realtime feed, where it is on.
    pub fn realtime(&self) -> Option<&Realtime> {
        self.parts.realtime.as_ref()
    }

    /// How the daemon is. Who asks while another's look is on its way waits for that one.
    pub async fn readiness(&self) -> Readiness {
        let mut last = self.last.lock().await;
        if let Some((at, readiness)) = &*last
            && at.elapsed() < COUNTS_FOR
        {
            return readiness.clone();
        }
        let readiness = self.look().await;
        *last = Some((Instant::now(), readiness.clone()));
        readiness
    }

    async fn look(&self) -> Readiness {
        let Parts {
            table,
            leases,
            queue,
            names,
            clock,
            daemon,
            holding,
            realtime,
        } = &self.parts;
        let (config, first) = (keys::config(), names.queries(0));
        let (store, queue, beats) = tokio::join!(
            within(table.get_recent(&config)),
            within(queue.depth(&first)),
            within(leases.list_beats()),
        );
        let now = clock.now();
        let beats = beats.unwrap_or_default();
        let living: Vec<_> = beats.iter().filter(|beat| beat.looks_alive(now)).collect();
        let others = living.iter().filter(|beat| beat.daemon != *daemon).count();
        let leases = living.iter().any(|beat| beat.daemon == *daemon);
        let realtime = realtime.as_ref();
        let (has_bus, is_heard) = realtime.map_or((false, true), |realtime| {
            (realtime.has_bus(), realtime.hears_others())
        });
        let is_alone = realtime.is_none() || has_bus || others == 0;
        let checks = Checks {
            store: store.is_some(),
            queue: queue.is_some(),
            leases,
            realtime: is_heard && is_alone,
        };
        let problems = [
            (checks.store, "the table does not answer"),
            (checks.queue, "the queues do not answer"),
            (checks.leases, "the daemon's own beat is not in the table"),
            (
                is_heard,
                "Redis does not answer: events of other daemons are missing",
            ),
            (
                is_alone,
                "several daemons live, and WAXWING_REDIS_URL is not set: each one's sockets miss the others' events",
            ),
            (
                clock.behind().is_zero(),
                "the machine's clock is wrong, and the daemon goes by the table's: set it",
            ),
        ];
        let problems = problems.into_iter().filter(|(is_fine, _)| !is_fine);
        Readiness {
            status: if checks.all() { "ready" } else { "not_ready" },
            checks,
            problems: problems.map(|(_, problem)| problem).collect(),
            shards_held: holding.get().len(),
            daemons: living.len(),
            realtime: realtime.map(Realtime::load),
        }
    }
}

impl Probe for Health {
    fn condition(&self) -> BoxFuture<'_, Condition> {
        async {
            let readiness = self.readiness().await;
            Condition {
                is_ready: readiness.is_ready(),
                checks: json!(readiness.checks),
            }
        }
        .boxed()
    }
}

/// What was read, within the deadline.
async fn within<T, E>(reading: impl Future<Output = Result<T, E>>) -> Option<T>
where
    E: std::error::Error,
{
    match tokio::time::timeout(DEADLINE, reading).await {
        Ok(Ok(value)) => Some(value),
        Ok(Err(error)) => {
            warn!(error = %chain(&error), "the daemon is not ready");
            None
        }
        Err(_) => {
            warn!("the daemon is not ready: no answer in time");
            None
        }
    }
}
