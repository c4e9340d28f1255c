//! What all parts of a running network share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info};

use crate::config::Config;
use crate::error::Result;
use crate::faults::{Faults, SkewedClock};
use crate::media::Media;
use crate::people::presence;
use crate::phone::{auto_reply, gallery, history, runner};
use crate::server::certificates::{self, ServerIdentity};
use crate::server::registry::Registry;
use crate::stats::Stats;
use crate::store::{Store, Unit, queue};

/// One network.
pub(crate) struct Network {
    pub(crate) config: Config,
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) identity: ServerIdentity,
    pub(crate) media: Media,
    pub(crate) faults: Arc<Faults>,
    pub(crate) stats: Stats,
    /// Ends every connection and task.
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
    /// The clients' connections, which a restart ends.
    pub(crate) connections: TaskTracker,
    generation: Mutex<CancellationToken>,
    /// Held by the restart under way.
    restart: tokio::sync::Mutex<()>,
    /// Whether clients are turned away, for a restart.
    down: AtomicBool,
    /// Room for clients that have not finished their handshake.
    entrance: Arc<Semaphore>,
}

/// How long a restart waits for connections to end before it lets new ones in.
const RESTART_DEADLINE: Duration = Duration::from_secs(10);

impl Network {
    /// Opens the state, makes the server's identity if need be, and starts the phones. `media_addr` is where the
    /// media host listens.
    pub(crate) async fn open(config: Config, media_addr: SocketAddr) -> Result<Arc<Self>> {
        let registry = Arc::new(Registry::default());
        let effects = Arc::clone(&registry);
        let faults = Arc::new(Faults::new(Arc::clone(&config.clock)));
        let directory = config.data_dir.clone();
        let clock = Arc::new(SkewedClock::new(Arc::clone(&faults)));
        let open = move || Store::open(directory.as_deref(), clock, move |done| effects.apply(done));
        let store = tokio::task::spawn_blocking(open)
            .await
            .map_err(|error| crate::error::Error::codec("the store's start", error))??;
        let identity = store.run(|unit| certificates::load_or_make(unit)).await?;
        store.run(|unit| presence::reset(unit)).await?;
        let media = Media::open(&config, media_addr, &store).await?;
        let stop = CancellationToken::new();
        let network = Arc::new(Self {
            entrance: Arc::new(Semaphore::new(config.limits.handshakes)),
            config,
            store: Arc::new(store),
            registry,
            identity,
            media,
            faults,
            stats: Stats::default(),
            generation: Mutex::new(stop.child_token()),
            stop,
            tasks: TaskTracker::new(),
            connections: TaskTracker::new(),
            restart: tokio::sync::Mutex::default(),
            down: AtomicBool::new(false),
        });
        network.tasks.spawn(runner::run(Arc::clone(&network)));
        network.tasks.spawn(gallery::run(Arc::clone(&network)));
        network.tasks.spawn(auto_reply::run(Arc::clone(&network)));
        // What came for a phone just before the last end is taken now.
        let history_messages = network.config.history_messages;
        let waiting = move |unit: &mut Unit<'_>| {
            history::set_limit(unit, history_messages)?;
            let mut waiting = history::waiting_phones(unit)?;
            waiting.extend(queue::waiting_phones(unit)?);
            Ok(waiting)
        };
        for phone in network.store.run(waiting).await? {
            network.registry.agenda.add(&phone);
        }
        Ok(network)
    }

    /// What ends a connection that begins now.
    pub(crate) fn generation(&self) -> CancellationToken {
        self.lock_generation().child_token()
    }

    /// Lets a client begin its handshake; `None` while the network restarts or too many handshakes are under way.
    pub(crate) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if self.down.load(Ordering::Acquire) {
            debug!("a client comes while the network restarts");
            return None;
        }
        let entry = Arc::clone(&self.entrance).try_acquire_owned().ok();
        if entry.is_none() {
            info!("a client is turned away: too many have not finished their handshake");
        }
        entry
    }

    /// Ends all connections at once, without a word, and waits until they are gone. Answers how many there were.
    pub(crate) async fn restart(&self) -> u64 {
        let _one_at_a_time = self.restart.lock().await;
        self.down.store(true, Ordering::Release);
        let ended = self.connections.len();
        self.lock_generation().cancel();
        self.connections.close();
        let gone = tokio::time::timeout(RESTART_DEADLINE, self.connections.wait()).await;
        self.connections.reopen();
        *self.lock_generation() = self.stop.child_token();
        self.down.store(false, Ordering::Release);
        info!(connections = ended, in_time = gone.is_ok(), "restarted");
        ended as u64
    }

    fn lock_generation(&self) -> MutexGuard<'_, CancellationToken> {
        self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all connections and tasks, then closes the store.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        self.connections.close();
        self.connections.wait().await;
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
    }
}
