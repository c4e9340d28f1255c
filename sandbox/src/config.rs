//! What one sandbox is started with, and the command line that fills it in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::clock::{Clock, SystemClock};

/// How long a chat state waits for a device unless told otherwise.
const CHATSTATE_TTL: Duration = Duration::from_secs(10);
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
    /// How long a chat state ("is typing") waits for a device that is not connected.
    pub chatstate_ttl: Duration,
    /// How much the server takes from clients.
    pub limits: Limits,
    /// How long what a client shows for being linked is good for.
    pub pairing: PairingTimes,
    /// How long the first stanza is held back after the handshake: some clients lose one that comes at once.
    pub first_stanza_delay: Duration,
    /// Whether messages between two people name their sender without its device, as some suites expect. The real
    /// network always names it.
    pub bare_senders: bool,
    /// Clients of a lower version are refused as outdated.
    pub min_client_version: Option<(u32, u32, u32)>,
    /// From this version on a companion that knows nothing of a collection of app state gets it as a snapshot. Below,
    /// it gets the patches, which say as much and need no media host.
    pub app_state_snapshot_from: u64,
    /// How many messages of each chat a new companion gets from its phone; 0 sends no history at all.
    pub history_messages: u32,
    /// The network's clock.
    pub clock: Arc<dyn Clock>,
}

/// How long the codes that clients show to be linked are good; the defaults are the real network's.
#[derive(Debug, Clone, Copy)]
pub struct PairingTimes {
    /// The first of the six QR references.
    pub first_ref: Duration,
    /// Each of the others.
    pub next_ref: Duration,
    /// From the last reference's end to the connection's, unless a pairing code is good for longer.
    pub linger: Duration,
    /// A pairing code.
    pub code: Duration,
}

impl Default for PairingTimes {
    fn default() -> Self {
        Self {
            first_ref: Duration::from_mins(1),
            next_ref: Duration::from_secs(20),
            // 210 s in all.
            linger: Duration::from_secs(50),
            code: Duration::from_mins(3),
        }
    }
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
            media_lifetime: Duration::from_hours(30 * 24),
            media_auth_ttl: Duration::from_mins(5),
            handshake_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(90),
            chatstate_ttl: CHATSTATE_TTL,
            limits: Limits::default(),
            pairing: PairingTimes::default(),
            first_stanza_delay: Duration::from_millis(60),
            bare_senders: false,
            min_client_version: None,
            app_state_snapshot_from: 100,
            history_messages: 50,
            clock: Arc::new(SystemClock),
        }
    }

    /// The same with the state kept in `data_dir`, where media have more room than in memory.
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

/// How much the server takes from clients. More is refused or cut off, with the reason in the log.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections of any kind at once.
    pub connections: usize,
    /// Clients that have not finished their handshake.
    pub handshakes: usize,
    /// Frames of one client each second, with a burst of two seconds' worth. A sender has two for each text: the text, and
    /// its word that it has the receipt. One sender has been seen to reach 6,000 texts a second.
    pub frames_per_second: u32,
    /// How long a client may take to accept what is written to it.
    pub write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            handshakes: 1_000,
            frames_per_second: 20_000,
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
    /// Messages of each chat that a newly linked client gets from its phone; 0 sends no history.
    #[arg(long, default_value_t = 50)]
    pub history_messages: u32,
    /// Seconds that "is typing" waits for a device that is not connected.
    #[arg(long, env = "CHATSTATE_TTL_SECS", default_value_t = CHATSTATE_TTL.as_secs())]
    pub chatstate_ttl_secs: u64,
    /// Name the senders of direct messages without their devices, which the real network never does.
    #[arg(long)]
    pub bare_senders: bool,
    /// Refuse clients of a lower version as outdated, e.g. 2.3000.1030000000.
    #[arg(long, value_parser = version)]
    pub min_client_version: Option<(u32, u32, u32)>,
}

fn version(text: &str) -> Result<(u32, u32, u32), String> {
    let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
    match numbers.as_deref() {
        Ok([first, second, third]) => Ok((*first, *second, *third)),
        _ => Err("a version is three numbers with dots between them".into()),
    }
}

impl From<Cli> for Config {
    fn from(cli: Cli) -> Self {
        let mut config = Self::new(SocketAddr::new(cli.host, cli.port));
        config.chatstate_ttl = Duration::from_secs(cli.chatstate_ttl_secs);
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
        config.history_messages = cli.history_messages;
        config.bare_senders = cli.bare_senders;
        config.min_client_version = cli.min_client_version;
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_three_numbers() {
        assert_eq!(version("2.3000.17"), Ok((2, 3000, 17)));
        for bad in ["", "2", "2.3000", "2.3000.x", "2.3000.17.1"] {
            assert!(version(bad).is_err(), "{bad}");
        }
    }
}
