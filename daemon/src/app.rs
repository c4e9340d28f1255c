//! The daemon as a whole: what it is made of, and its life from start to an orderly end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use chrono::{DateTime, Utc};
use shared::auth::jwt::{DEFAULT_LIFETIME, Jwts, SecretError};
use shared::aws;
use shared::bucket::Bucket;
use shared::clock::Clock;
use shared::config::{self, JwtSecrets, QueueLimits};
use shared::domain::network::Network;
use shared::queue::{Queue, QueueNames};
use shared::seal::Sealer;
use shared::secrets_manager::KeptJwtSecrets;
use shared::storage::counters::Counters;
use shared::storage::instances::Instances;
use shared::storage::leases::Leases;
use shared::storage::messages::Messages;
use shared::storage::schedule::Schedule;
use shared::storage::setup::{self, Mismatch};
use shared::storage::{StorageError, Table};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::info;
use ulid::Ulid;

use crate::announce::Announcer;
use crate::connection::{Connector, NoConnector};
use crate::deps::Deps;
use crate::files::{self, Files};
use crate::instance::starts::Starts;
use crate::lease::{HeldShards, Keeper, LeaseThread};
use crate::people::Directory;
use crate::preview::Previews;
use crate::realtime::{self, Realtime};
use crate::shard::{AUDIENCE_DEADLINE, KEYS_PATIENCE, Shards};
use crate::web;
use crate::web::health::{self, Health};
use crate::web::metrics::{self, Metrics};
use crate::whatsapp::{HttpError, NETWORK, Settings, WhatsAppConnector};

/// How long sessions' last tasks may take after their shards are given up.
const TASKS_DEADLINE: Duration = Duration::from_secs(5);

/// What a daemon is made of.
#[derive(Debug)]
pub struct Parts {
    /// The table.
    pub table: Table,
    /// The same table through a client for beats alone, which wait behind nothing else.
    pub beats: Table,
    /// The same table through a client for leases alone. It is used on the leases' thread, as `beats` is. A connection is
    /// driven by the runtime on which it was made, so a client that is used elsewhere too may wait for a busy runtime.
    pub leases: Table,
    /// The queues.
    pub queue: Arc<dyn Queue>,
    /// Their names.
    pub names: QueueNames,
    /// Seals content and session state.
    pub sealer: Arc<Sealer>,
    /// Media on their way out and in.
    pub bucket: Bucket,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Shards of the network.
    pub shards: u32,
    /// The silence after which other daemons may take this one's shards.
    pub lease: Duration,
    /// How many sessions may begin at once.
    pub starts: usize,
    /// How many messages may wait in the queues.
    pub queue_limits: QueueLimits,
    /// The network whose instances it serves.
    pub network: Network,
    /// How sessions begin.
    pub sessions: Sessions,
    /// How the files of messages are got.
    pub files: files::Settings,
    /// The realtime feed, where it is on.
    pub realtime: Option<config::Realtime>,
}

/// How a daemon's sessions begin.
#[derive(Debug)]
pub enum Sessions {
    /// By the WhatsApp library, on the network that this build serves and on no other: a build for the sandbox does not check
    /// WhatsApp's certificates.
    WhatsApp(Settings),
    /// Not at all, on any network: for tests, whose builds must not connect to WhatsApp.
    Never,
}

impl Sessions {
    /// What connects instances so. Its sessions are among these tasks.
    fn connector(self, clock: &Arc<dyn Clock>, tasks: &TaskTracker) -> Result<Arc<dyn Connector>, HttpError> {
        Ok(match self {
            Self::WhatsApp(settings) => Arc::new(WhatsAppConnector::new(
                settings,
                Arc::clone(clock),
                tasks.clone(),
            )?),
            Self::Never => Arc::new(NoConnector),
        })
    }
}

/// Why a daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It is configured for another network than it is built for.
    #[error("this build serves the network `{NETWORK}`, and the configuration asks for `{0}`")]
    WrongNetwork(Network),
    /// The configuration does not match the table.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// The table cannot be read.
    #[error("the table cannot be read")]
    Table(#[from] StorageError),
    /// The HTTPS client cannot be made.
    #[error("the HTTPS client cannot be made")]
    Http(#[from] HttpError),
    /// The HTTP client for what messages name by URLs cannot be made.
    #[error("the HTTP client for what messages name by URLs cannot be made")]
    Files(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system gives no thread for the leases.
    #[error("the system gives no thread for the leases")]
    Thread(#[source] io::Error),
    /// The secrets of access tokens are refused, or cannot be used.
    #[error(transparent)]
    Secrets(#[from] SecretError),
    /// The URL of Redis cannot be used.
    #[error("WAXWING_REDIS_URL cannot be used")]
    Redis(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A daemon that is ready to run.
pub struct App {
    keeper: Keeper<Shards>,
    thread: LeaseThread,
    tasks: TaskTracker,
    health: Arc<Health>,
    metrics: Arc<Metrics>,
}

impl App {
    /// Checks the configuration against build and table, and makes a daemon. It serves its shards on the runtime on which
    /// this is called.
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let network = parts.network;
        if matches!(parts.sessions, Sessions::WhatsApp(_)) && network != NETWORK {
            return Err(StartError::WrongNetwork(network));
        }
        setup::agree(&parts.table, parts.shards).await??;
        let tasks = TaskTracker::new();
        let connector = parts.sessions.connector(&parts.clock, &tasks)?;
        let announcer = Announcer::new(
            Instances::new(parts.table.clone()),
            Messages::new(parts.table.clone()),
            parts.queue.clone(),
            &parts.names,
            parts.sealer.clone(),
            &tasks,
        );
        let previews = Previews::new(&parts.files).map_err(StartError::Files)?;
        let files = Files::new(parts.files, parts.bucket.clone()).map_err(StartError::Files)?;
        let deps = Arc::new(Deps {
            announcer,
            instances: Instances::new(parts.table.clone()),
            messages: Messages::new(parts.table.clone()),
            schedule: Schedule::new(parts.table.clone()),
            counters: Counters::new(parts.table.clone()),
            people: Arc::new(Directory::new(
                parts.table.clone(),
                parts.clock.clone(),
                tasks.clone(),
            )),
            table: parts.table.clone(),
            queue: parts.queue,
            names: parts.names,
            sealer: parts.sealer,
            bucket: parts.bucket,
            clock: parts.clock.clone(),
            network,
            connector,
            round_trips: Arc::default(),
            meter: Arc::default(),
            files,
            previews,
            audience_deadline: AUDIENCE_DEADLINE,
            keys_patience: KEYS_PATIENCE,
            starts: Starts::new(parts.starts),
            queue_limits: parts.queue_limits,
        });
        let daemon = new_name(parts.clock.as_ref());
        info!(daemon, %network, shards = parts.shards, "the daemon starts");
        let realtime = Box::pin(feed(parts.realtime, &deps, &daemon)).await?;
        let (queue, names) = (deps.queue.clone(), deps.names.clone());
        let (meter, round_trips) = (Arc::clone(&deps.meter), Arc::clone(&deps.round_trips));
        let events = deps.announcer.events().clone();
        let keeper = Keeper::new(
            Leases::new(parts.leases, network),
            Leases::new(parts.beats, network),
            daemon.clone(),
            parts.shards,
            parts.lease,
            parts.clock.clone(),
            Shards::new(deps, Handle::current()),
        );
        let metrics = Metrics::new(metrics::Parts {
            meter,
            round_trips,
            events,
            holding: keeper.holding(),
            shards: parts.shards,
            prefix: names.prefix().to_owned(),
            network,
            clock: parts.clock.clone(),
            realtime: realtime.clone(),
        });
        let health = Health::new(health::Parts {
            leases: Leases::new(parts.table.clone(), network),
            table: parts.table,
            queue,
            names,
            clock: parts.clock,
            daemon,
            holding: keeper.holding(),
            realtime,
        });
        Ok(Self {
            keeper,
            thread: LeaseThread::start().await.map_err(StartError::Thread)?,
            tasks,
            health: Arc::new(health),
            metrics: Arc::new(metrics),
        })
    }

    /// The realtime feed, where it is on. It is served while the daemon runs.
    pub fn realtime(&self) -> Option<&Realtime> {
        self.health.realtime()
    }

    /// What the daemon answers over HTTP: its probes, its metrics, and the realtime feed where it is on.
    pub fn routes(&self) -> Router {
        let routes = web::probes(Arc::clone(&self.health)).merge(self.metrics());
        match self.realtime() {
            Some(realtime) => realtime.over(routes),
            None => routes,
        }
    }

    /// `/metrics` alone, for a process whose API answers the probes at the same address.
    pub fn metrics(&self) -> Router {
        metrics::routes(Arc::clone(&self.metrics))
    }

    /// What it counts, for whoever prints it.
    pub fn counts(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// The shards held at any time.
    pub fn holding(&self) -> HeldShards {
        self.keeper.holding()
    }

    /// Runs until `stop`, then hands over in order. It ends earlier, and hands nothing over, where a shard does
    /// not end: see [`HeldShards::is_stuck`].
    pub async fn run(self, stop: CancellationToken) {
        let stop = stop.child_token();
        let handed_over = CancellationToken::new();
        let keeping = async {
            self.thread.run(Box::pin(self.keeper.run(stop.clone()))).await;
            // Whatever has ended it, the feed ends with it.
            stop.cancel();
            handed_over.cancel();
        };
        let feeding = async {
            if let Some(realtime) = self.health.realtime() {
                Box::pin(realtime.run(&*self.health, &stop, &handed_over)).await;
            }
        };
        tokio::join!(keeping, feeding);
        self.tasks.close();
        // Sessions were disconnected with their shards; only tasks of the library are left.
        let _ = tokio::time::timeout(TASKS_DEADLINE, self.tasks.wait()).await;
        info!("the daemon has stopped");
    }
}

/// The realtime feed, where it is on.
async fn feed(
    settings: Option<config::Realtime>,
    deps: &Deps,
    daemon: &str,
) -> Result<Option<Realtime>, StartError> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    let feed = Realtime::new(realtime::Parts {
        table: deps.table.clone(),
        hub: Arc::clone(deps.announcer.hub()),
        clock: Arc::clone(&deps.clock),
        network: deps.network,
        daemon: daemon.to_owned(),
        jwts: jwts(&settings.jwt_secrets, deps.clock.now()).await?,
        settings,
    });
    feed.map(Some).map_err(|error| StartError::Redis(error.into()))
}

/// What checks access tokens. Secrets that are given need nothing of AWS. Where Secrets Manager is away the daemon starts without them,
/// and its feed lets users in later: sessions must not wait for that.
async fn jwts(secrets: &JwtSecrets, now: DateTime<Utc>) -> Result<Jwts, SecretError> {
    match secrets {
        JwtSecrets::Given(secrets) => Ok(Jwts::new(secrets, DEFAULT_LIFETIME)),
        JwtSecrets::Kept(arn) => {
            let place = KeptJwtSecrets::new(&aws::from_environment().await, arn);
            Jwts::kept_at_or_later(Arc::new(place), DEFAULT_LIFETIME, now).await
        }
    }
}

/// What a daemon calls itself: names sort by when they were made.
fn new_name(clock: &dyn Clock) -> String {
    format!("daemon_{}", Ulid::from_parts(milliseconds(clock), rand::random()))
}

fn milliseconds(clock: &dyn Clock) -> u64 {
    u64::try_from(clock.now().timestamp_millis()).unwrap_or(0)
}
