//! What all parts of a running network share.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::error::Result;
use crate::faults::Faults;
use crate::media::Media;
use crate::phone::{auto_reply, gallery, runner};
use crate::server::certificates::{self, ServerIdentity};
use crate::server::registry::Registry;
use crate::stats::Stats;
use crate::store::{Store, queue};

/// One network.
pub(crate) struct Network {
    pub(crate) config: Config,
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) identity: ServerIdentity,
    pub(crate) media: Media,
    pub(crate) faults: Faults,
    pub(crate) stats: Stats,
    /// Ends every connection and task.
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Network {
    /// Opens the state, makes the server's identity if need be, and starts the phones. `media_addr` is where the
    /// media host listens.
    pub(crate) async fn open(config: Config, media_addr: SocketAddr) -> Result<Arc<Self>> {
        let registry = Arc::new(Registry::default());
        let effects = Arc::clone(&registry);
        let (directory, clock) = (config.data_dir.clone(), Arc::clone(&config.clock));
        let open = move || Store::open(directory.as_deref(), clock, move |done| effects.apply(done));
        let store = tokio::task::spawn_blocking(open)
            .await
            .map_err(|error| crate::error::Error::codec("the store's start", error))??;
        let identity = store.run(|unit| certificates::load_or_make(unit)).await?;
        let media = Media::open(&config, media_addr, &store).await?;
        let network = Arc::new(Self {
            config,
            store: Arc::new(store),
            registry,
            identity,
            media,
            faults: Faults::default(),
            stats: Stats::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let agenda = Arc::clone(&network.registry.agenda);
        network.tasks.spawn(runner::run(
            Arc::clone(&network.store),
            agenda,
            network.stop.clone(),
        ));
        network.tasks.spawn(gallery::run(Arc::clone(&network)));
        network.tasks.spawn(auto_reply::run(Arc::clone(&network)));
        // What came for a phone just before the last end is taken now.
        for phone in network.store.run(|unit| queue::waiting_phones(unit)).await? {
            network.registry.agenda.add(&phone);
        }
        Ok(network)
    }

    /// Ends all connections and tasks, then closes the store.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        self.store.close().await;
    }
}
