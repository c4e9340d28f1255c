//! A stack that serves WhatsApp itself.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use axum::Router;
use daemon::app::Sessions;
use shared::domain::network::Network;
use stack::{Directly, Place, Plan, Stack, private_directory};
use tokio::net::TcpListener;
use tracing::warn;

use crate::cli::Cli;
use crate::exposure::Exposure;
use crate::settings;

/// The folder of files that are being sent. They have no name in it, and go with the process.
const SPOOL: &str = "spool";

/// A running server.
pub struct Server {
    stack: Stack,
    public_url: String,
    data_dir: PathBuf,
    // It is let go when all else has ended.
    _place: Place,
}

/// What every stack has.
impl Deref for Server {
    type Target = Stack;

    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl Server {
    /// Starts everything. Fails, and leaves nothing running, where the address is in use, another process works on the same
    /// data, the data is the local stack's, or a setting cannot be used.
    pub async fn start(cli: &Cli, sessions: Sessions) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(cli.listen).await.with_context(|| {
            format!(
                "cannot listen on {}, perhaps because it is in use; --listen takes another address",
                cli.listen
            )
        })?;
        private_directory(&cli.data_dir)?;
        let place = Place::open_for(cli.data_dir.clone(), Network::Live)?;
        let listens = listener.local_addr()?;
        let (config, realtime) = settings::read(cli, &place, listens)?;
        let exposure = Exposure::of(listens, &config.base);
        for warning in exposure.warnings() {
            warn!("{warning}");
        }
        let spool = place.path().join(SPOOL);
        private_directory(&spool)?;
        let public_url = config.base.public_url.clone().unwrap_or_default();
        let plan = Plan {
            listener,
            place: &place,
            config,
            realtime,
            network: Network::Live,
            sessions,
            spool: Some(spool),
            routes: Router::new(),
            has_metrics: cli.metrics || exposure.keeps_metrics(),
            has_table_port: false,
            between: &Directly,
        };
        Ok(Self {
            stack: Box::pin(Stack::start(plan)).await?,
            public_url,
            data_dir: cli.data_dir.clone(),
            _place: place,
        })
    }

    /// Where callers reach it.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Where its state is kept.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Stops in order: no new requests, the daemon hands over, the stores close.
    pub async fn shutdown(self) {
        self.stack.shutdown().await;
    }
}
