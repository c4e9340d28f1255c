//! Starts every part in its order, and stops them in the reverse.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::{Router, middleware};
use daemon::app::{App, Parts};
use daemon::files;
use daemon::lease::HeldShards;
use daemon::realtime::Realtime;
use daemon::web;
use daemon::whatsapp::{NETWORK, Settings};
use functions::service::{self, States};
use functions::webhook_delivery::{self, WebhooksState};
use sandbox::Sandbox;
use shared::bucket::Bucket;
use shared::clock::{Clock, SystemClock};
use shared::config::{self, Common, Functions, Wrapping};
use shared::mail;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{QueueNames, deployment};
use shared::reach::Reach;
use shared::seal::{self, Purpose, Sealer};
use shared::storage::Table;
use shared::storage::leases::Leases;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::between::{Between, Directly};
use crate::cli::Cli;
use crate::content;
use crate::database::Embedded;
use crate::entrance;
use crate::mailbox;
use crate::secrets;
use crate::turns::{Turns, in_turn};

/// Shards of the local network: enough that the parts meet more than one.
const SHARDS: u32 = 2;

/// What queue names begin with.
const QUEUE_PREFIX: &str = "waxwing";

/// The silence after which another daemon may take a daemon's shards.
const LEASE: Duration = Duration::from_secs(4);

/// The folder of the mails that were sent.
const MAIL: &str = "mail";

/// The folder of the bucket.
const BUCKET: &str = "bucket";

/// How often it is swept.
const SWEEP_PERIOD: Duration = Duration::from_mins(10);

/// How long the API may take to answer open requests when it stops.
const API_DEADLINE: Duration = Duration::from_secs(10);

/// A running local stack.
pub struct Stack {
    api: SocketAddr,
    sandbox_url: String,
    data_dir: Option<PathBuf>,
    database: Embedded,
    queue: Arc<EmbeddedQueue>,
    sandbox: Option<Sandbox>,
    stop_api: CancellationToken,
    serving: JoinHandle<()>,
    sweeping: JoinHandle<()>,
    stop_daemon: CancellationToken,
    running: JoinHandle<()>,
    daemon_ended: CancellationToken,
    holding: HeldShards,
    delivering: JoinHandle<()>,
    _place: Place,
}

impl Stack {
    /// Starts everything. Fails, and leaves nothing behind, where a port is in use or another stack works on the same
    /// data.
    pub async fn start(cli: &Cli) -> anyhow::Result<Self> {
        Self::start_between(cli, &Directly).await
    }

    /// The same with `between` before the table and the queues, after these are set up.
    #[expect(clippy::too_many_lines, reason = "every part in its order, and nothing else")]
    pub async fn start_between(cli: &Cli, between: &dyn Between) -> anyhow::Result<Self> {
        // The ports first: two stacks are most often two starts of the same command.
        let listener = listen(cli.port, "--port").await?;
        let api = listener.local_addr()?;
        let place = Place::open(cli)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);

        let sandbox = match &cli.sandbox_url {
            Some(_) => None,
            None => Some(start_sandbox(cli, &place).await?),
        };
        let sandbox_ca = match (&cli.sandbox_ca, &sandbox) {
            (Some(path), _) => Some(
                std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
            ),
            (None, sandbox) => sandbox.as_ref().map(|sandbox| sandbox.ca_pem().to_owned()),
        };
        let sandbox_url = match (&cli.sandbox_url, &sandbox) {
            (Some(url), _) => url.clone(),
            (None, Some(sandbox)) => sandbox.ws_url(),
            (None, None) => unreachable!("one of the two is there"),
        };

        let database = Embedded::start(place.durable("table.db").as_deref()).await?;
        // The place is this stack's alone, so any daemon that holds a shard by the table has gone. Nothing is shown
        // as connected on a dead daemon's word, and nobody waits for its lease to run out.
        Leases::new(database.table.clone(), NETWORK)
            .forget_owners()
            .await
            .context("cannot clear the leases of an earlier run")?;
        let queue = EmbeddedQueue::open(place.durable("queues.db").as_deref(), clock.clone())
            .context("cannot open the queues")?;
        let queue = Arc::new(queue);
        let queue_names = QueueNames::new(QUEUE_PREFIX, NETWORK.as_str())?;
        deployment::ensure_all(queue.as_ref(), &queue_names, SHARDS)
            .await
            .context("cannot create the queues")?;
        let aws = match between.table(&database.endpoint).await {
            Some(endpoint) => shared::aws::stand_in(&endpoint),
            None => database.directly(),
        };
        let table = Table::new(&aws, database.table.name());
        let reached = between.queue(queue.clone()).await;

        let common = Common {
            table: table.name().to_owned(),
            shards: SHARDS,
            queue_prefix: QUEUE_PREFIX.to_owned(),
        };
        let wrapping = Wrapping::File(place.path().join("wrapping.key"));
        let secret = secrets::jwt_secret(&place.path().join("jwt.secret"))?;
        let realtime = config::realtime_over(config::Realtime::new(vec![secret.clone()]))?;
        let mut usual = Functions::new(common, vec![NETWORK], vec![secret], wrapping);
        usual.users.mail = config::Mail::Folder(place.path().join(MAIL));
        usual.base.public_url = Some(format!("http://{api}"));
        usual.management.feed = Some(config::FeedAddress::OwnHost);
        usual.base.reach = if cli.private_addresses {
            Reach::PRIVATE
        } else {
            Reach::LOOPBACK
        };
        let config = config::functions_over(usual)?;
        let wrapper =
            seal::wrapper(&aws, &config.wrapping).context("cannot read or make the wrapping key")?;
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
            shards: SHARDS,
            lease: LEASE,
            starts: config::SESSION_STARTS,
            queue_limits: config::QueueLimits {
                instance: config.messaging.queue_limit,
                offline: config.messaging.offline_queue_limit,
                shard: config.messaging.shard_queue_limit,
            },
            settings: Settings::for_network(&sandbox_url).with_sandbox_ca(sandbox_ca),
            files: files::Settings {
                reach: config.base.reach,
                ..files::Settings::default()
            },
            realtime: Some(realtime),
        };
        let app = App::start(parts, Some(NETWORK))
            .await
            .context("the daemon cannot start")?;

        let sealer = Sealer::new(table.clone(), wrapper)
            .restricted_to(&[Purpose::Content])
            .making_no_keys();
        let mailer = mail::from_config(&aws, &config.users.mail, &clock).context("the mailbox")?;
        let mailbox = mail::FolderMailer::new(place.path().join(MAIL), clock.clone());
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
            .merge(mailbox::routes(mailbox))
            .merge(content::routes(bucket.clone()));
        let serving = tokio::spawn(web::serve(listener, routes_with(feed, routes), stop_api.clone()));
        let sweeping = tokio::spawn(sweep(bucket, stop_api.clone()));
        Ok(Self {
            api,
            sandbox_url,
            data_dir: (!cli.ephemeral).then(|| cli.data_dir.clone()),
            database,
            queue,
            sandbox,
            stop_api,
            serving,
            sweeping,
            stop_daemon,
            running,
            daemon_ended,
            holding,
            delivering,
            _place: place,
        })
    }

    /// The base URL of the HTTP API.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// The sandbox's WebSocket.
    pub fn sandbox_url(&self) -> &str {
        &self.sandbox_url
    }

    /// The base URL of the sandbox's admin API, where the sandbox runs in this process.
    pub fn admin_url(&self) -> Option<String> {
        self.sandbox.as_ref().map(Sandbox::admin_url)
    }

    /// Where the state is kept; `None` where nothing is.
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// The embedded DynamoDB's endpoint, for whoever wants to look into the table.
    pub fn database_url(&self) -> &str {
        &self.database.endpoint
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

    /// Stops in order: no new requests, the daemon hands over, the network and the stores
    /// close.
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
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown().await;
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

async fn start_sandbox(cli: &Cli, place: &Place) -> anyhow::Result<Sandbox> {
    let mut config = sandbox::Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, cli.sandbox_port)));
    if let Some(directory) = place.durable("sandbox") {
        config = config.with_data_dir(directory);
    }
    Sandbox::start(config)
        .await
        .context("the sandbox cannot start (another port: --sandbox-port)")
}

async fn listen(port: u16, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.with_context(|| {
        format!("cannot listen on port {port} of 127.0.0.1, perhaps because it is in use; {option} takes another")
    })
}

/// The directory of the state, locked against a second stack.
enum Place {
    Kept { directory: PathBuf, _lock: File },
    Ephemeral(TempDir),
}

impl Place {
    fn open(cli: &Cli) -> anyhow::Result<Self> {
        if cli.ephemeral {
            // The keys need a file; it goes with the process.
            return Ok(Self::Ephemeral(
                tempfile::tempdir().context("cannot make a temporary directory")?,
            ));
        }
        let directory = cli.data_dir.clone();
        let name = directory.display();
        std::fs::create_dir_all(&directory).with_context(|| format!("cannot make the directory {name}"))?;
        let lock = File::create(directory.join("lock")).with_context(|| format!("cannot write in {name}"))?;
        lock.try_lock().map_err(|error| match error {
            std::fs::TryLockError::WouldBlock => {
                anyhow::anyhow!("another Waxwing works on {name} already; --data-dir takes another directory")
            }
            std::fs::TryLockError::Error(error) => anyhow::anyhow!("cannot lock {name}: {error}"),
        })?;
        Ok(Self::Kept {
            directory,
            _lock: lock,
        })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept { directory, .. } => directory,
            Self::Ephemeral(directory) => directory.path(),
        }
    }

    /// A file or directory of the state; `None` where nothing is kept.
    fn durable(&self, name: &str) -> Option<PathBuf> {
        match self {
            Self::Kept { directory, .. } => Some(directory.join(name)),
            Self::Ephemeral(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_stack_tells_that_its_daemon_has_ended() {
        let cli = Cli::parse_from(["waxwing", "--port", "0", "--sandbox-port", "0", "--ephemeral"]);
        let stack = Stack::start(&cli).await.expect("a stack");
        assert!(!stack.daemon_ended.is_cancelled(), "it runs");
        stack.stop_daemon.cancel();
        stack.daemon_ended().await;
        stack.shutdown().await;
    }
}
