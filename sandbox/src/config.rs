//! What one sandbox is started with, and the command line that fills it in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::clock::{Clock, SystemClock};

/// The settings of one network.
#[derive(Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// The directory of the state; `None` keeps everything in memory.
    pub data_dir: Option<PathBuf>,
    /// The longest a client may take for its handshake.
    pub handshake_timeout: Duration,
    /// A client that sends no frame for this long is closed. Clients ping every 15 to 30 s.
    pub idle_timeout: Duration,
    /// How long a set of six QR references is valid: clients show the first for 60 s, the others for 20 s each.
    pub qr_refs_valid: Duration,
    /// How many messages of each chat a new companion gets from its phone; 0 sends no history at all.
    pub history_messages: u32,
    /// The network's clock.
    pub clock: Arc<dyn Clock>,
}

impl Config {
    /// The usual settings for `addr`, with no directory.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            data_dir: None,
            handshake_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(90),
            qr_refs_valid: Duration::from_secs(160),
            history_messages: 50,
            clock: Arc::new(SystemClock),
        }
    }

    /// The same with its state kept in `data_dir`.
    #[must_use]
    pub fn with_data_dir(mut self, data_dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(data_dir.into());
        self
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("addr", &self.addr)
            .field("data_dir", &self.data_dir)
            .finish_non_exhaustive()
    }
}

/// A WhatsApp network on this machine, with phones one can script.
#[derive(Debug, Parser)]
#[command(name = "sandbox", version)]
pub struct Cli {
    /// Address to listen on. The admin API has no authentication: leave it on loopback.
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub host: IpAddr,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 3001)]
    pub port: u16,
    /// Directory of the state: phones, keys, inboxes, queues.
    #[arg(long, default_value = ".waxwing/sandbox")]
    pub data_dir: PathBuf,
    /// Keep nothing: the state lives in memory and ends with the process.
    #[arg(long)]
    pub ephemeral: bool,
    /// Messages of each chat that a newly linked client gets from its phone; 0 sends no history.
    #[arg(long, default_value_t = 50)]
    pub history_messages: u32,
}

impl From<Cli> for Config {
    fn from(cli: Cli) -> Self {
        let mut config = Self::new(SocketAddr::new(cli.host, cli.port));
        config.data_dir = (!cli.ephemeral).then_some(cli.data_dir);
        config.history_messages = cli.history_messages;
        config
    }
}
