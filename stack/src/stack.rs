//! Starts every part in its order, and stops them in the reverse.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::{Router, middleware};
use daemon::app::{App, Parts, Sessions};
use daemon::check::on_this_machine;
use daemon::files;
use daemon::lease::HeldShards;
use daemon::realtime::Realtime;
use daemon::web;
use functions::service::{self, States};
use functions::webhook_delivery::{self, WebhooksState};
use shared::bucket::Bucket;
use shared::clock::{Clock, SystemClock};
use shared::config::{self, Common, JwtSecret, Wrapping};
use shared::domain::network::Network;
use shared::mail;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{QueueNames, deployment};
use shared::seal::{self, Purpose, Sealer};
use shared::storage::Table;
use shared::storage::leases::Leases;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::between::Between;
use crate::content;
use crate::database::{Embedded, NOWHERE, TABLE};
use crate::entrance;
use crate::place::{BUCKET, Place, QUEUES_FILE, TABLE_FILE, private_store};
use crate::turns::{Turns, in_turn};
use crate::wrapping;

/// What queue names begin with.
pub const QUEUE_PREFIX: &str = "waxwing";

/// The silence after which another daemon may take a daemon's shards.
const LEASE: Duration = Duration::from_secs(4);

/// How often the bucket is swept.
const SWEEP_PERIOD: Duration = Duration::from_mins(10);

/// How long the API may take to answer open requests when it stops.
const API_DEADLINE: Duration = Duration::from_secs(10);

/// What a stack is started with.
pub struct Plan<'a> {
    /// Where the API is served.
    pub listener: TcpListener,
    /// Where its state is. It stays open for as long as the stack runs.
    pub place: &'a Place,
    /// What the functions are configured with: see [`usual`]. The daemon takes from it what both need.
    pub config: config::Functions,
    /// The realtime feed.
    pub realtime: config::Realtime,
    /// The network whose instances it serves: one of those that the functions serve.
    pub network: Network,
    /// How sessions begin.
    pub sessions: Sessions,
    /// Where files are kept while they are sent; `None` for the system's folder for such files.
    pub spool: Option<PathBuf>,
    /// Routes of the binary's own, beside the API's.
    pub routes: Router,
    /// Whether the daemon's `/metrics` are beside them.
    pub has_metrics: bool,
    /// Whether the table has a port on this machine. The port asks nobody for credentials.
    pub has_table_port: bool,
    /// What stands before the table and the queues, after these are set up.
    pub between: &'a dyn Between,
}

/// What the functions of a stack are configured with where nothing else is said, on this network with so many shards.
pub fn usual(
    network: Network,
    shards: u32,
    jwt_secrets: Vec<JwtSecret>,
    wrapping: Wrapping,
) -> config::Functions {
    let common = Common {
        table: TABLE.to_owned(),
        shards,
        queue_prefix: QUEUE_PREFIX.to_owned(),
    };
    let mut usual = config::Functions::new(common, vec![network], jwt_secrets, wrapping);
    usual.management.feed = Some(config::FeedAddress::OwnHost);
    usual
}

/// A running stack.
pub struct Stack {
    api: SocketAddr,
    database: Embedded,
    queue: Arc<EmbeddedQueue>,
    stop_api: CancellationToken,
    serving: JoinHandle<()>,
    sweeping: JoinHandle<()>,
    stop_daemon: CancellationToken,
    running: JoinHandle<()>,
    daemon_ended: CancellationToken,
    holding: HeldShards,
    delivering: JoinHandle<()>,
}

impl Stack {
    /// Starts everything. Fails, and leaves nothing behind, where a part cannot start.
    #[expect(clippy::too_many_lines, reason = "every part in its order, and nothing else")]
    pub async fn start(plan: Plan<'_>) -> anyhow::Result<Self> {
        let Plan {
            listener,
            place,
            config,
            realtime,
            network,
            sessions,
            spool,
            routes: own_routes,
            has_metrics,
            has_table_port,
            between,
        } = plan;
        let api = listener.local_addr()?;
        let shards = config.base.common.shards;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);

        // Before there is a table: one that is there has a key.
        wrapping::settle(place.path(), &config.wrapping)?;
        for store in [TABLE_FILE, QUEUES_FILE]
            .iter()
            .filter_map(|name| place.durable(name))
        {
            private_store(&store)?;
        }
        let database = Embedded::start(place.durable(TABLE_FILE).as_deref(), has_table_port).await?;
        // The place is this stack's alone, so any daemon that holds a shard by the table has gone. Nothing is shown
        // as connected on a dead daemon's word, and nobody waits for its lease to run out.
        Leases::new(database.table.clone(), network)
            .forget_owners()
            .await
            .context("cannot clear the leases of an earlier run")?;
        let queue = EmbeddedQueue::open(place.durable(QUEUES_FILE).as_deref(), clock.clone())
            .context("cannot open the queues")?;
        let queue = Arc::new(queue);
        let queue_names = QueueNames::new(QUEUE_PREFIX, network.as_str())?;
        deployment::ensure_all(queue.as_ref(), &queue_names, shards)
            .await
            .context("cannot create the queues")?;
        let between_table = match &database.endpoint {
            Some(endpoint) => between.table(endpoint).await,
            None => None,
        };
        // Nothing but the table is reached as a service of AWS.
        let reached_at = between_table.as_ref().or(database.endpoint.as_ref());
        let aws = shared::aws::stand_in(reached_at.map_or(NOWHERE, String::as_str));
        let table = match between_table {
            Some(_) => Table::new(&aws, database.table.name()),
            None => database.table.clone(),
        };
        let reached = between.queue(queue.clone()).await;

        let wrapper = seal::wrapper(&aws, &config.wrapping).context("cannot read the wrapping key")?;
        let daemon_sealer = Arc::new(Sealer::new(table.clone(), wrapper.clone()));
        let bucket_place = config::Bucket::Folder {
            path: place.path().join(BUCKET),
            public_url: config
                .base
                .public_url
                .clone()
                .unwrap_or_else(|| format!("http://{api}")),
        };
        let bucket = |sealer: &Arc<Sealer>| {
            Bucket::open(&aws, &bucket_place, Arc::clone(sealer), Arc::clone(&clock)).context("the bucket")
        };
        let parts = Parts {
            bucket: bucket(&daemon_sealer)?,
            table: table.clone(),
            beats: table.apart(),
            leases: table.apart(),
            queue: reached.clone(),
            names: queue_names.clone(),
            sealer: daemon_sealer,
            clock: clock.clone(),
            shards,
            lease: LEASE,
            starts: config::SESSION_STARTS,
            queue_limits: config::QueueLimits {
                instance: config.messaging.queue_limit,
                offline: config.messaging.offline_queue_limit,
                shard: config.messaging.shard_queue_limit,
            },
            network,
            sessions,
            files: files::Settings {
                reach: config.base.reach,
                folder: spool,
                ..files::Settings::default()
            },
            realtime: Some(realtime),
        };
        let app = App::start(parts).await.context("the daemon cannot start")?;

        let sealer = Sealer::new(table.clone(), wrapper)
            .restricted_to(&[Purpose::Content])
            .making_no_keys();
        let mailer = mail::from_config(&aws, &config.users.mail, &clock).context("the mailbox")?;
        let sealer = Arc::new(sealer);
        let bucket = bucket(&sealer)?;
        // No other stack works on the same data: what is half written stays so.
        bucket.sweep_at_start().await.context("the bucket")?;
        let states = States::new(
            &config,
            table,
            reached,
            Arc::clone(&sealer),
            bucket.clone(),
            mailer,
            clock,
        )?;
        let settings = webhook_delivery::Settings::usual(&states.base);
        let sending = WebhooksState::new(states.base.clone(), sealer, bucket.clone(), settings)
            .context("the webhooks' client")?;
        let (stop_api, stop_daemon) = (CancellationToken::new(), CancellationToken::new());
        let feed = app.realtime().cloned();
        let metrics = if has_metrics { app.metrics() } else { Router::new() };
        let (holding, daemon_ended) = (app.holding(), CancellationToken::new());
        let (stop, ended) = (stop_daemon.clone(), daemon_ended.clone().drop_guard());
        let running = tokio::spawn(async move {
            Box::pin(app.run(stop)).await;
            // It is dropped too where this panics.
            drop(ended);
        });
        let delivering = tokio::spawn(webhook_delivery::local::run(
            sending,
            queue_names,
            stop_api.clone(),
        ));
        let routes = service::all(states)
            .layer(middleware::from_fn_with_state(Arc::<Turns>::default(), in_turn))
            .merge(entrance::routes())
            .merge(own_routes)
            .merge(metrics)
            .merge(content::routes(bucket.clone()));
        let serving = tokio::spawn(web::serve(listener, routes_with(feed, routes), stop_api.clone()));
        let sweeping = tokio::spawn(sweep(bucket, stop_api.clone()));
        Ok(Self {
            api,
            database,
            queue,
            stop_api,
            serving,
            sweeping,
            stop_daemon,
            running,
            daemon_ended,
            holding,
            delivering,
        })
    }

    /// The base URL of the HTTP API, by which this machine reaches it.
    pub fn api_url(&self) -> String {
        format!("http://{}", on_this_machine(self.api))
    }

    /// The embedded DynamoDB's endpoint, for whoever wants to look into the table; `None` where it has no port.
    pub fn database_url(&self) -> Option<&str> {
        self.database.endpoint.as_deref()
    }

    /// Waits until the table can do nothing more: its engine panicked, or its disk failed. What was answered is kept, and
    /// only a new process can go on with it. There is nothing to stop in order, since nothing can be stored.
    pub async fn broken(&self) {
        self.database.broken().await;
    }

    /// Waits until the daemon has ended, or has given up. Nobody sends what the API accepts then.
    pub async fn daemon_ended(&self) {
        tokio::select! {
            () = self.daemon_ended.cancelled() => {}
            () = self.holding.stuck() => {}
        }
    }

    /// The shards that the daemon holds at any time.
    pub fn holding(&self) -> HeldShards {
        self.holding.clone()
    }

    /// Has the process end where the daemon gives up and does not end by itself. What does not end may hold up the end of the
    /// process too.
    pub fn end_where_stuck(&self) -> anyhow::Result<()> {
        daemon::service::end_where_stuck(self.holding()).context("a thread that ends the process")
    }

    /// Waits until the end is asked for, which is then in order. Fails where the stack can do nothing more: the table breaks, or
    /// the daemon ends.
    pub async fn until(&self, asked: impl Future<Output = ()>) -> anyhow::Result<()> {
        ended(asked, self.broken(), self.daemon_ended()).await
    }

    /// Stops in order: no new requests, the daemon hands over, the stores close.
    pub async fn shutdown(self) {
        self.stop_api.cancel();
        self.stop_daemon.cancel();
        let mut serving = self.serving;
        if tokio::time::timeout(API_DEADLINE, &mut serving).await.is_err() {
            warn!("some requests did not end in time");
            serving.abort();
        }
        let mut delivering = self.delivering;
        if tokio::time::timeout(API_DEADLINE, &mut delivering).await.is_err() {
            warn!("some events were on their way to webhooks, and are sent again");
            delivering.abort();
        }
        if let Err(panic) = self.sweeping.await {
            warn!(error = %panic, "the sweep of the bucket ended in a panic");
        }
        if let Err(panic) = self.running.await {
            warn!(error = %panic, "the daemon ended in a panic");
        }
        self.queue.close().await;
        self.database.shutdown().await;
    }
}

/// The API's routes with the realtime feed on the same port.
fn routes_with(feed: Option<Realtime>, routes: Router) -> Router {
    match feed {
        Some(feed) => feed.over(routes),
        None => routes,
    }
}

/// Removes what is past its term in the bucket, at once and then now and again, as S3 does by its own rules.
async fn sweep(bucket: Bucket, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(SWEEP_PERIOD);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        if let Err(error) = bucket.sweep().await {
            warn!(
                error = &error as &dyn std::error::Error,
                "the bucket could not be swept"
            );
        }
    }
}

/// Waits until the end is asked for, or the table is broken, or the daemon has ended.
async fn ended(
    asked: impl Future<Output = ()>,
    broken: impl Future<Output = ()>,
    daemon_ended: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    tokio::select! {
        () = asked => Ok(()),
        () = broken => Err(anyhow::anyhow!(
            "the table is broken, as the log says; nothing that was answered is lost: start again"
        )),
        () = daemon_ended => Err(anyhow::anyhow!(
            "the daemon has ended, as the log says, and nobody sends what is accepted: start again"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::net::Ipv4Addr;

    use super::*;
    use crate::between::Directly;

    #[tokio::test]
    async fn a_broken_table_ends_the_stack_with_an_error() {
        assert!(ended(ready(()), pending(), pending()).await.is_ok());
        let end = ended(pending(), ready(()), pending()).await;
        let error = end.expect_err("it is broken");
        assert!(error.to_string().contains("the table is broken"), "{error}");
    }

    #[tokio::test]
    async fn a_daemon_that_ends_ends_the_stack_with_an_error() {
        let end = ended(pending(), pending(), ready(())).await;
        let error = end.expect_err("nobody sends");
        assert!(error.to_string().contains("the daemon has ended"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_stack_tells_that_its_daemon_has_ended() {
        let place = Place::ephemeral().expect("a place");
        let secret = place.jwt_secret().expect("made");
        let plan = Plan {
            listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .await
                .expect("a free port"),
            place: &place,
            config: usual(Network::Live, 1, vec![secret.clone()], place.wrapping()),
            realtime: config::Realtime::new(vec![secret]),
            network: Network::Live,
            sessions: Sessions::Never,
            spool: None,
            routes: Router::new(),
            has_metrics: true,
            has_table_port: false,
            between: &Directly,
        };
        let stack = Box::pin(Stack::start(plan)).await.expect("a stack");
        assert!(!stack.daemon_ended.is_cancelled(), "it runs");
        stack.stop_daemon.cancel();
        stack.daemon_ended().await;
        stack.shutdown().await;
    }
}
