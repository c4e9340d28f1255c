//! What a connection to the feed has from its first request to its end: a place among all, and the means to cut it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How often somebody may try to be let in on one connection.
const TRIES: u32 = 3;

/// How long a connection lasts that is to end, so that its peer still reads why.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A connection's ticket. It goes with the request, which the socket keeps as long as it lives, so the place is free again
/// when the connection has ended and not before.
#[derive(Debug, Clone)]
pub struct Ticket(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cut: CancellationToken,
    from: Option<IpAddr>,
    tries: AtomicU32,
    _place: OwnedSemaphorePermit,
}

impl Ticket {
    /// A ticket for a connection from this address, which `cut` ends.
    pub fn new(cut: CancellationToken, from: Option<IpAddr>, place: OwnedSemaphorePermit) -> Self {
        Self(Arc::new(Inner {
            cut,
            from,
            tries: AtomicU32::new(0),
            _place: place,
        }))
    }

    /// Where the connection comes from.
    pub fn from(&self) -> Option<IpAddr> {
        self.0.from
    }

    /// Whether its peer may try to be let in once more.
    pub fn may_try(&self) -> bool {
        self.0.tries.fetch_add(1, Ordering::Relaxed) < TRIES
    }

    /// Ends the connection at once.
    pub fn cut(&self) {
        self.0.cut.cancel();
    }

    /// Ends the connection when its peer had time to read what was sent last.
    pub fn cut_soon(&self, tasks: &TaskTracker) {
        let cut = self.0.cut.clone();
        tasks.spawn(async move {
            // It may end by itself before.
            let _ = tokio::time::timeout(LAST_WORDS, cut.cancelled()).await;
            cut.cancel();
        });
    }
}
