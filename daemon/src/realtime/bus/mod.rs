//! Several daemons tell each other their events over Redis, so that a socket at any of them hears of all.
//!
//! Each publishes what arises in it, and takes into its hub what the others publish: so resuming works at whichever daemon a
//! client comes back to. Redis keeps nothing of it. What is published while the way is broken is lost, and both sides see to it
//! that nobody takes the rest for the whole: a daemon that has lost its way tells the others so (`Message::Gap`) when it is
//! back, one that dies is missed (`peers`), and one that could not listen starts its hub afresh. Sockets are told to read anew
//! what they show.
//!
//! Each daemon also says every few seconds whom its sockets follow. That is how its own way is known to work: it hears itself.

mod listening;
mod message;
mod peers;
mod telling;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{Client, RedisError};
use shared::config::Secret;
use tokio::sync::Notify;

use super::followers::Followers;
use crate::announce::hub::Hub;
use crate::meter::Total;

/// How long Redis may take to answer.
const DEADLINE: Duration = Duration::from_secs(5);

/// After such a silence a daemon counts as gone; where not even its own word comes, it counts as not listening.
const SILENCE: Duration = Duration::from_secs(15);

/// The pause before another try.
const PAUSE: Duration = Duration::from_secs(1);

/// The way to the other daemons.
#[derive(Debug)]
pub struct Bus {
    client: Client,
    channel: String,
    daemon: String,
    hub: Arc<Hub>,
    followers: Arc<Followers>,
    hears: AtomicBool,
    tells: AtomicBool,
    /// Somebody has come who does not know whom this daemon's sockets follow.
    asked: Notify,
    /// How many events the others were not told.
    lost: Total,
}

impl Bus {
    /// The way over the Redis at this URL. `channel` is what the daemons of a network have in common. Nothing is connected
    /// yet.
    pub fn new(
        url: &Secret,
        channel: String,
        daemon: String,
        hub: Arc<Hub>,
        followers: Arc<Followers>,
    ) -> Result<Self, RedisError> {
        // `rustls` wants to know which cryptography it uses; whoever was first has said so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self {
            client: Client::open(url.expose())?,
            channel,
            daemon,
            hub,
            followers,
            hears: AtomicBool::new(false),
            tells: AtomicBool::new(false),
            asked: Notify::new(),
            lost: Total::default(),
        })
    }

    /// Whether events of other daemons come, and this one's go.
    pub fn is_whole(&self) -> bool {
        self.hears.load(Ordering::Relaxed) && self.tells.load(Ordering::Relaxed)
    }

    /// How many events the others were not told.
    pub fn lost(&self) -> u64 {
        self.lost.get()
    }
}

async fn within<T>(asking: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    match tokio::time::timeout(DEADLINE, asking).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}
