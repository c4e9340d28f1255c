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
    /// How much the server takes from clients.
    pub limits: Limits,
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
            limits: Limits::default(),
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

/// How much the server takes from clients. What is beyond is refused or cut off, with its reason in the log.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections of any kind at once.
    pub connections: usize,
    /// Clients that have not finished their handshake.
    pub handshakes: usize,
    /// Frames of one client each second, with a burst of two seconds' worth. One sender has been seen to reach 4,000
    /// texts a second.
    pub frames_per_second: u32,
    /// How long a client may take to accept what is written to it.
    pub write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            handshakes: 1_000,
            frames_per_second: 10_000,
            write_timeout: Duration::from_secs(10),
        }
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
}

impl From<Cli> for Config {
    fn from(cli: Cli) -> Self {
        let mut config = Self::new(SocketAddr::new(cli.host, cli.port));
        config.data_dir = (!cli.ephemeral).then_some(cli.data_dir);
        config
    }
}
