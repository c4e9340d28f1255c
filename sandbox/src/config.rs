//! What one sandbox is started with, and the command line that fills it in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::clock::{Clock, SystemClock};

const MIB: u64 = 1024 * 1024;

/// The settings of one network.
#[derive(Clone)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub addr: SocketAddr,
    /// The directory of the state; `None` keeps everything in memory.
    pub data_dir: Option<PathBuf>,
    /// Where the media host listens, over TLS; port 0 takes a free one.
    pub media_addr: SocketAddr,
    /// The name by which clients find the media host; without one, its address.
    pub media_host: Option<String>,
    /// The largest file that can be uploaded, in bytes as they are uploaded.
    pub media_max_bytes: u64,
    /// The most that all media together may take, in bytes. Beyond it uploads are refused.
    pub media_capacity: u64,
    /// How long media can be downloaded after their upload.
    pub media_lifetime: Duration,
    /// How long a client may upload before it asks for a new authorisation.
    pub media_auth_ttl: Duration,
    /// The longest a client may take for its handshake.
    pub handshake_timeout: Duration,
    /// A client that sends no frame for this long is closed. Clients ping every 15 to 30 s.
    pub idle_timeout: Duration,
    /// How long a set of six QR references is valid: clients show the first for 60 s, the others for 20 s each.
    pub qr_refs_valid: Duration,
    /// The network's clock.
    pub clock: Arc<dyn Clock>,
}

impl Config {
    /// The usual settings for `addr`, with no directory.
    pub fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            data_dir: None,
            media_addr: SocketAddr::new(addr.ip(), 0),
            media_host: None,
            media_max_bytes: 100 * MIB,
            media_capacity: 512 * MIB,
            media_lifetime: Duration::from_secs(30 * 24 * 60 * 60),
            media_auth_ttl: Duration::from_secs(300),
            handshake_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(90),
            qr_refs_valid: Duration::from_secs(160),
            clock: Arc::new(SystemClock),
        }
    }

    /// The same with its state kept in `data_dir`, where media have more room than in memory.
    #[must_use]
    pub fn with_data_dir(mut self, data_dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(data_dir.into());
        self.media_capacity = 8 * 1024 * MIB;
        self
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("addr", &self.addr)
            .field("media_addr", &self.media_addr)
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
    /// Port of the media host (TLS); without it the one after `--port`, and a free one beside `--port 0`.
    #[arg(long)]
    pub media_port: Option<u16>,
    /// Name by which clients find the media host; without it the address it listens on.
    #[arg(long)]
    pub media_host: Option<String>,
    /// Directory of the state: phones, keys, inboxes, queues, media.
    #[arg(long, default_value = ".waxwing/sandbox")]
    pub data_dir: PathBuf,
    /// Keep nothing: the state lives in memory and ends with the process.
    #[arg(long)]
    pub ephemeral: bool,
}

impl From<Cli> for Config {
    fn from(cli: Cli) -> Self {
        let mut config = Self::new(SocketAddr::new(cli.host, cli.port));
        if !cli.ephemeral {
            config = config.with_data_dir(cli.data_dir);
        }
        let beside = if cli.port == 0 {
            0
        } else {
            cli.port.saturating_add(1)
        };
        config.media_addr.set_port(cli.media_port.unwrap_or(beside));
        config.media_host = cli.media_host;
        config
    }
}
