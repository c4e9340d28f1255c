//! The daemon's part.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{
    Bucket, Common, ConfigError, JwtSecret, JwtSecrets, Lookup, Secret, Wrapping, bucket, common_from,
    number, problem, reach, switch, wrapping_from,
};
use crate::domain::network::Network;
use crate::reach::Reach;

/// The daemon's configuration.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// What it has in common with the functions.
    pub common: Common,
    /// What wraps data keys.
    pub wrapping: Wrapping,
    /// Where the bucket is.
    pub bucket: Bucket,
    /// The network served; `None` for what the build serves.
    pub network: Option<Network>,
    /// The sandbox's WebSocket.
    pub sandbox_url: String,
    /// A file with the root certificate of the sandbox's media host, in PEM.
    pub sandbox_ca: Option<PathBuf>,
    /// The silence after which another daemon may take this one's shards.
    pub lease: Duration,
    /// How many sessions may begin at once.
    pub starts: usize,
    /// How many messages may wait in the queues.
    pub queue_limits: QueueLimits,
    /// How far the URLs that callers name may reach.
    pub reach: Reach,
    /// Where it answers `/health`, `/ready` and `/metrics`, and where the realtime feed is; `None` for nowhere.
    pub listen: Option<SocketAddr>,
    /// The realtime feed, where it is on.
    pub realtime: Option<Realtime>,
    /// Where files are kept while they are in hand; `None` for the system's folder for such files.
    pub spool: Option<PathBuf>,
    /// Whether it prints its metrics for CloudWatch.
    pub emf: bool,
    /// Whether the machine's clock is corrected by the table's.
    pub corrects_clock: bool,
}

/// What the realtime feed has.
#[derive(Debug, Clone)]
pub struct Realtime {
    /// The secrets of access tokens, or where they are.
    pub jwt_secrets: JwtSecrets,
    /// The Redis by which several daemons tell each other events; `None` for a daemon that is alone.
    pub redis: Option<Secret>,
    /// How many sockets may be open at once.
    pub sockets: usize,
    /// How many proxies before the listener add to `X-Forwarded-For`.
    pub trusted_proxies: usize,
}

impl Realtime {
    /// The usual settings with what has no default.
    pub fn new(jwt_secrets: Vec<JwtSecret>) -> Self {
        Self::of(JwtSecrets::Given(jwt_secrets))
    }

    fn of(jwt_secrets: JwtSecrets) -> Self {
        Self {
            jwt_secrets,
            redis: None,
            sockets: 2_000,
            trusted_proxies: 0,
        }
    }

    /// Reads the variables that have a default; where one is not set, the value here stays.
    pub(super) fn over(self, get: Lookup<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            redis: get("WAXWING_REDIS_URL").map(Secret::new).or(self.redis),
            sockets: number(get, "WAXWING_REALTIME_SOCKETS", self.sockets, 1..=60_000)?,
            trusted_proxies: number(get, "WAXWING_TRUSTED_PROXIES", self.trusted_proxies, 0..=8)?,
            ..self
        })
    }

    fn read(get: Lookup<'_>) -> Result<Option<Self>, ConfigError> {
        let secrets = JwtSecrets::read(get)?;
        secrets.map(|secrets| Self::of(secrets).over(get)).transpose()
    }
}

/// How many messages may wait to be sent. The functions that accept messages have the same limits
/// ([`Messaging`](super::Messaging)); a daemon keeps them when scheduled messages are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Of one instance.
    pub instance: u32,
    /// Of one that is not connected. The lower of both holds.
    pub offline: u32,
    /// Of all instances of a shard together.
    pub shard: u32,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self {
            instance: 10_000,
            offline: 5_000,
            shard: 100_000,
        }
    }
}

impl QueueLimits {
    pub(super) fn over(self, get: Lookup<'_>) -> Result<Self, ConfigError> {
        let limit = |variable, usual| number(get, variable, usual, 1..=100_000);
        Ok(Self {
            instance: limit("WAXWING_QUEUE_LIMIT", self.instance)?,
            offline: limit("WAXWING_OFFLINE_QUEUE_LIMIT", self.offline)?,
            shard: limit("WAXWING_SHARD_QUEUE_LIMIT", self.shard)?,
        })
    }
}

/// How many sessions begin at once by default.
///
/// A start mostly waits: for WhatsApp's server and for the table, half a second or so in a deployment. A quarter of the
/// places are for starts that somebody waits for, so 48 are left when a daemon takes shards over. Fewer
/// places leave the processors idle. `starts.rs` in the daemon bounds how many begin in a second. 64 starts have
/// some tens of MiB of buffers more than as many sessions that are connected, which a daemon of 2 GiB has to spare. WhatsApp
/// sees 64 logins under way from one address at most, and is asked for one after the other. It tells where that is too
/// much (`RATE_LIMITED`): such a daemon wants fewer places.
pub const SESSION_STARTS: usize = 64;

/// Where the daemon listens; `None` for nowhere.
pub(super) fn address(get: Lookup<'_>) -> Result<Option<SocketAddr>, ConfigError> {
    let Some(text) = get("WAXWING_LISTEN") else {
        return Ok(None);
    };
    let address: SocketAddr = text.parse().map_err(|_| {
        problem(
            "WAXWING_LISTEN",
            "must be an address with a port, such as `0.0.0.0:3002`",
        )
    })?;
    Ok(Some(address))
}

pub(super) fn read(get: Lookup<'_>) -> Result<Daemon, ConfigError> {
    let network = get("WAXWING_NETWORK")
        .map(|name| name.parse().map_err(|error| problem("WAXWING_NETWORK", error)))
        .transpose()?;
    let listen = address(get)?;
    let realtime = match listen {
        Some(_) => Realtime::read(get)?,
        None => None,
    };
    Ok(Daemon {
        listen,
        realtime,
        common: common_from(get)?,
        wrapping: wrapping_from(get)?,
        bucket: bucket::read(get)?,
        network,
        sandbox_url: get("WAXWING_SANDBOX_URL").unwrap_or_else(|| "ws://127.0.0.1:3001/ws/chat".to_owned()),
        sandbox_ca: get("WAXWING_SANDBOX_CA").map(PathBuf::from),
        lease: Duration::from_millis(number(get, "WAXWING_LEASE_MS", 4_000, 4_000..=60_000)?),
        starts: number(get, "WAXWING_SESSION_STARTS", SESSION_STARTS, 1..=1_000)?,
        queue_limits: QueueLimits::default().over(get)?,
        reach: reach(get)?.unwrap_or_default(),
        spool: get("WAXWING_SPOOL").map(PathBuf::from),
        emf: switch(get, "WAXWING_EMF")?,
        corrects_clock: corrects_clock(get)?,
    })
}

fn corrects_clock(get: Lookup<'_>) -> Result<bool, ConfigError> {
    match get("WAXWING_CLOCK").as_deref() {
        None | Some("table") => Ok(true),
        Some("machine") => Ok(false),
        Some(_) => Err(problem("WAXWING_CLOCK", "must be `table` or `machine`")),
    }
}
