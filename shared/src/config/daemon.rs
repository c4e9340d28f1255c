//! The daemon's part.

use std::path::PathBuf;
use std::time::Duration;

use super::{
    Bucket, Common, ConfigError, Lookup, Wrapping, bucket, common_from, number, problem, switch,
    wrapping_from,
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
    /// How far the URLs that callers name may reach.
    pub reach: Reach,
    /// Where files are kept while they are in hand; `None` for the system's folder for such files.
    pub spool: Option<PathBuf>,
}

/// How many sessions begin at once by default.
pub const SESSION_STARTS: usize = 16;

pub(super) fn read(get: Lookup<'_>) -> Result<Daemon, ConfigError> {
    let network = get("WAXWING_NETWORK")
        .map(|name| name.parse().map_err(|error| problem("WAXWING_NETWORK", error)))
        .transpose()?;
    Ok(Daemon {
        common: common_from(get)?,
        wrapping: wrapping_from(get)?,
        bucket: bucket::read(get)?,
        network,
        sandbox_url: get("WAXWING_SANDBOX_URL").unwrap_or_else(|| "ws://127.0.0.1:3001/ws/chat".to_owned()),
        sandbox_ca: get("WAXWING_SANDBOX_CA").map(PathBuf::from),
        lease: Duration::from_millis(number(get, "WAXWING_LEASE_MS", 4_000, 4_000..=60_000)?),
        starts: number(get, "WAXWING_SESSION_STARTS", SESSION_STARTS, 1..=1_000)?,
        reach: Reach {
            private: switch(get, "WAXWING_PRIVATE_ADDRESSES")?,
        },
        spool: get("WAXWING_SPOOL").map(PathBuf::from),
    })
}
