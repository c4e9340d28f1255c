//! A WhatsApp network on this machine: a server that speaks the real wire protocol, and phones one can script.
//!
//! Clients connect over WebSocket, secure the stream with Noise, pair by QR code or by a code to type, and exchange
//! Signal-encrypted messages, as with WhatsApp itself. So tests run the client's own code, not a double of it. Phones
//! are driven through an admin API over HTTP on the same port. Media go to a host of their own, over TLS. All state
//! is in one directory (a `SQLite` file, and the media) and survives a killed process.
//!
//! Three layers: `server` (sockets, handshake, stanzas), the network's rules (`iq`, `relay`, `receipts`,
//! `pairing`, `companions`, `directory`, `prekeys`, `people`), and `phone` (the people's side). Rules and phones work on
//! `store::Unit`, a transaction, and know no socket.

mod admin;
mod app_state;
mod clock;
mod companions;
mod config;
mod directory;
mod dirty;
mod error;
mod faults;
mod groups;
mod iq;
mod media;
mod network;
mod orders;
mod pairing;
mod people;
mod phone;
mod pictures;
mod prekeys;
mod receipts;
mod relay;
pub mod script;
mod server;
mod stats;
mod store;
mod switches;
mod wire;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing::{info, warn};

pub use clock::{Clock, SystemClock};
pub use config::{Cli, Config, Limits, PairingTimes};
pub use error::Error;
pub use faults::{Added, Direction, Fault, FaultControl, InForce, Rule, Target};
pub use script::Phone;
pub use server::refusals::{Refusal, StreamEnd};

use network::Network;
use server::listener::Port;

/// How long an orderly end may take before what is left is cut off.
const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(5);

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on port {} of {}", addr.port(), addr.ip())]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// Why not; most often another process has it.
        source: std::io::Error,
    },
    /// The state cannot be opened.
    #[error("cannot open the sandbox's state: {0}")]
    State(#[from] Error),
}

/// A running network.
pub struct Sandbox {
    addr: SocketAddr,
    network: Arc<Network>,
    server: JoinHandle<()>,
    media: JoinHandle<()>,
}

impl Sandbox {
    /// Starts a network and listens.
    ///
    /// # Errors
    /// A port in use and a state that cannot be opened; nothing is left running then.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        // The ports first: two sandboxes on one directory are most often two starts of the same command.
        let (listener, addr) = listen(config.addr).await?;
        let (media_listener, media_addr) = listen(config.media_addr).await?;
        let network = Network::open(config, media_addr).await?;
        let listener = Port::new(listener, &network.config);
        let stop = network.stop.clone();
        let service = admin::router(Arc::clone(&network));
        let server = tokio::spawn(async move {
            let served = axum::serve(listener, service)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await;
            if let Err(error) = served {
                warn!(%error, "the listener ended");
            }
        });
        let media = tokio::spawn(media::serve(Arc::clone(&network), media_listener));
        info!(%addr, media = %media_addr, "the sandbox is up");
        Ok(Self {
            addr,
            network,
            server,
            media,
        })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The WebSocket URL for clients on this machine.
    pub fn ws_url(&self) -> String {
        format!("ws://{}/ws/chat", on_this_machine(self.addr))
    }

    /// The base URL of the admin API, on this machine.
    pub fn admin_url(&self) -> String {
        format!("http://{}", on_this_machine(self.addr))
    }

    /// The base URL of the media host, as clients are told.
    pub fn media_url(&self) -> String {
        self.network.media.url("")
    }

    /// The root certificate of the media host, in PEM: what a client must trust to exchange media.
    pub fn ca_pem(&self) -> &str {
        self.network.media.ca_pem()
    }

    /// The public half of the root of the Noise certificates, for clients that check the server's chain.
    pub fn root_key(&self) -> [u8; 32] {
        self.network.identity.root
    }

    /// What goes wrong on request.
    pub fn faults(&self) -> FaultControl {
        FaultControl::new(Arc::clone(&self.network))
    }

    /// Ends all connections at once, without a word, and lets clients in again when the last is gone. The state and
    /// the faults stay. Answers how many connections there were.
    pub async fn restart(&self) -> u64 {
        self.network.restart().await
    }

    /// Closes all sockets, finishes what was begun and closes the state.
    pub async fn shutdown(mut self) {
        self.network.stop.cancel();
        let ended = async { tokio::join!(&mut self.server, &mut self.media) };
        if tokio::time::timeout(SHUTDOWN_DEADLINE, ended).await.is_err() {
            self.server.abort();
            self.media.abort();
        }
        if tokio::time::timeout(SHUTDOWN_DEADLINE, self.network.close())
            .await
            .is_err()
        {
            warn!("the sandbox did not end in time; what is left is cut off");
        }
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Drop for Sandbox {
    /// Without [`Sandbox::shutdown`] a sandbox ends as if killed: its tasks stop, its state is whole.
    fn drop(&mut self) {
        self.network.stop.cancel();
        self.server.abort();
        self.media.abort();
    }
}

/// Where one that listens there is reached from its own machine.
fn on_this_machine(addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), addr.port())
    } else {
        addr
    }
}

async fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |source| StartError::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(refused)?;
    let addr = listener.local_addr().map_err(refused)?;
    Ok((listener, addr))
}
