//! A stack with the sandbox network beside it.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use daemon::app::Sessions;
use daemon::check::on_this_machine;
use daemon::whatsapp::{NETWORK, Settings};
use sandbox::Sandbox;
use shared::clock::SystemClock;
use shared::config;
use shared::mail::FolderMailer;
use shared::reach::Reach;
use stack::{Between, Directly, Place, Plan};
use tokio::net::TcpListener;

use crate::cli::Cli;
use crate::mailbox;

/// Shards of the local network: enough that the parts meet more than one.
const SHARDS: u32 = 2;

/// The folder of the mails that were sent.
const MAIL: &str = "mail";

/// A running local stack.
pub struct Stack {
    common: stack::Stack,
    sandbox_url: String,
    sandbox: Option<Sandbox>,
    data_dir: Option<PathBuf>,
    // It is let go when all else has ended.
    _place: Place,
}

/// What every stack has.
impl Deref for Stack {
    type Target = stack::Stack;

    fn deref(&self) -> &stack::Stack {
        &self.common
    }
}

impl Stack {
    /// Starts everything. Fails, and leaves nothing behind, where a port is in use, another stack works on the same
    /// data, or the data is a server's.
    pub async fn start(cli: &Cli) -> anyhow::Result<Self> {
        Self::start_between(cli, &Directly).await
    }

    /// The same with `between` before the table and the queues, after these are set up.
    pub async fn start_between(cli: &Cli, between: &dyn Between) -> anyhow::Result<Self> {
        // The ports first: two stacks are most often two starts of the same command.
        let listener = listen(SocketAddr::new(cli.host, cli.port), "--port").await?;
        let api = listener.local_addr()?;
        let place = if cli.ephemeral {
            Place::ephemeral()?
        } else {
            Place::open_for(cli.data_dir.clone(), NETWORK)?
        };
        let network = Network::start(cli, &place).await?;

        let secret = place.jwt_secret()?;
        let realtime = config::realtime_over(config::Realtime::new(vec![secret.clone()]))?;
        let mut usual = stack::usual(NETWORK, SHARDS, vec![secret], place.wrapping());
        usual.users.mail = config::Mail::Folder(place.path().join(MAIL));
        usual.base.public_url = Some(format!("http://{}", on_this_machine(api)));
        usual.base.reach = if cli.private_addresses {
            Reach::PRIVATE
        } else {
            Reach::LOOPBACK
        };
        let mails = FolderMailer::new(place.path().join(MAIL), Arc::new(SystemClock));
        let plan = Plan {
            listener,
            place: &place,
            config: config::functions_over(usual)?,
            realtime,
            network: NETWORK,
            sessions: Sessions::WhatsApp(Settings::for_network(&network.url).with_sandbox_ca(network.ca)),
            spool: None,
            routes: mailbox::routes(mails),
            has_metrics: false,
            has_table_port: true,
            between,
        };
        Ok(Self {
            common: Box::pin(stack::Stack::start(plan)).await?,
            sandbox_url: network.url,
            sandbox: network.sandbox,
            data_dir: (!cli.ephemeral).then(|| cli.data_dir.clone()),
            _place: place,
        })
    }

    /// The embedded DynamoDB's endpoint, for whoever wants to look into the table.
    pub fn database_url(&self) -> &str {
        self.common.database_url().unwrap_or_default()
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

    /// Stops in order: no new requests, the daemon hands over, the stores and the network close.
    pub async fn shutdown(self) {
        self.common.shutdown().await;
        if let Some(sandbox) = self.sandbox {
            sandbox.shutdown().await;
        }
    }
}

/// The sandbox network, in this process or elsewhere.
struct Network {
    /// Its WebSocket.
    url: String,
    /// The root certificate of its media host, in PEM, as far as it is known.
    ca: Option<String>,
    /// `None` where it is elsewhere.
    sandbox: Option<Sandbox>,
}

impl Network {
    async fn start(cli: &Cli, place: &Place) -> anyhow::Result<Self> {
        let Some(url) = &cli.sandbox_url else {
            let sandbox = start_sandbox(cli, place).await?;
            return Ok(Self {
                url: sandbox.ws_url(),
                ca: Some(sandbox.ca_pem().to_owned()),
                sandbox: Some(sandbox),
            });
        };
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        Ok(Self {
            url: url.clone(),
            ca: cli.sandbox_ca.as_ref().map(read).transpose()?,
            sandbox: None,
        })
    }
}

async fn start_sandbox(cli: &Cli, place: &Place) -> anyhow::Result<Sandbox> {
    let mut config = sandbox::Config::new(SocketAddr::new(cli.host, cli.sandbox_port));
    // Its client is this process.
    config.media_addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    if let Some(directory) = place.durable("sandbox") {
        config = config.with_data_dir(directory);
    }
    Sandbox::start(config)
        .await
        .context("the sandbox cannot start (another port: --sandbox-port)")
}

async fn listen(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    let (host, port) = (address.ip(), address.port());
    TcpListener::bind(address).await.with_context(|| {
        format!(
            "cannot listen on port {port} of {host}, perhaps because it is in use; {option} takes another"
        )
    })
}
