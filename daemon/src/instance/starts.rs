//! How many sessions begin at once. A daemon that takes over thousands of instances must neither
//! starve its own work nor knock at WhatsApp with all of them in the same second.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// How long a start keeps its place at most: one that hangs must not stop the others.
pub const LONGEST_START: Duration = Duration::from_secs(40);

/// The mean time between two starts: they begin one after the other, so that places which are free together are not taken
/// together. Some 140 begin in a second at most. Two cores could begin about 190, and would have no time left for
/// anything else. Each time is between half and one and a half of this, at random, so that daemons which begin together do
/// not go in step.
const APART: Duration = Duration::from_millis(7);

/// The places of a daemon in which sessions begin.
#[derive(Debug)]
pub struct Starts {
    all: Arc<Semaphore>,
    /// Those of them that sessions which begin by themselves may take, so that nobody waits for a QR code behind a
    /// whole take-over.
    unasked: Arc<Semaphore>,
    turns: Turns,
}

impl Starts {
    /// So many places, at least one. A quarter of them are kept for starts that somebody waits for.
    pub fn new(places: usize) -> Self {
        let places = places.max(1);
        Self {
            all: Arc::new(Semaphore::new(places)),
            unasked: Arc::new(Semaphore::new(places - places / 4)),
            turns: Turns(Mutex::new(Instant::now())),
        }
    }

    /// Waits for a place, and for a turn, which comes at once where no start came right before. `is_awaited` says that somebody
    /// waits for this start.
    pub async fn begin(&self, is_awaited: bool) -> Start {
        let mut permits = Vec::new();
        if !is_awaited {
            permits.push(acquire(&self.unasked).await);
        }
        permits.push(acquire(&self.all).await);
        let now = Instant::now();
        let turn = self.turns.next(now);
        // A timer has a resolution of a millisecond, and would wait for that.
        if turn > now {
            tokio::time::sleep_until(turn).await;
        }
        Start(Arc::new(Mutex::new(permits)))
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let acquired = Arc::clone(semaphore).acquire_owned().await;
    acquired.expect("it is never closed")
}

/// Until when those who have a place have their turns.
#[derive(Debug)]
struct Turns(Mutex<Instant>);

impl Turns {
    /// When whoever asks at `now` may begin. Who asks next may begin about [`APART`] later.
    fn next(&self, now: Instant) -> Instant {
        let mut taken_until = self.0.lock().expect("no holder panics");
        let turn = now.max(*taken_until);
        *taken_until = turn + APART.mul_f64(rand::random_range(0.5..=1.5));
        turn
    }
}

/// A place that is taken until the start is over: the session is connected, shows a code, or has ended. Clones share
/// it.
#[derive(Debug, Clone, Default)]
pub struct Start(Arc<Mutex<Vec<OwnedSemaphorePermit>>>);

impl Start {
    /// Gives the place to the next. May be called again.
    pub fn over(&self) {
        self.0.lock().expect("no holder panics").clear();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use testbed::wait::in_time;

    use super::*;

    #[tokio::test]
    async fn no_more_begin_at_once_than_there_are_places() {
        let starts = Starts::new(2);
        let first = starts.begin(false).await;
        let second = starts.begin(false).await;
        assert!(starts.begin(true).now_or_never().is_none(), "both are taken");
        first.over();
        first.over();
        let third = starts.begin(true).await;
        assert!(starts.begin(true).now_or_never().is_none(), "given back once");
        drop((second, third));
        starts.begin(true).await;
    }

    #[tokio::test]
    async fn a_take_over_leaves_places_for_whoever_waits() {
        let starts = Starts::new(4);
        let mut unasked = Vec::new();
        for _ in 0..3 {
            unasked.push(starts.begin(false).await);
        }
        assert!(starts.begin(false).now_or_never().is_none());
        in_time("a place", starts.begin(true)).await;
    }

    #[tokio::test]
    async fn starts_begin_one_after_the_other_though_places_are_free() {
        let starts = Starts::new(64);
        let first = starts.begin(false).now_or_never();
        let first = first.expect("nobody came before, so it waits for nobody");
        // Those who came before have all turns until then.
        let taken_until = Instant::now() + APART * 1_000;
        *starts.turns.0.lock().expect("no holder panics") = taken_until;
        assert!(
            starts.begin(true).now_or_never().is_none(),
            "it has a place and no turn"
        );
        assert!(*starts.turns.0.lock().expect("no holder panics") > taken_until);
        drop(first);
    }

    #[test]
    fn places_that_are_free_together_are_not_taken_together() {
        let now = Instant::now();
        let turns = Turns(Mutex::new(now));
        let taken: Vec<Instant> = (0..64).map(|_| turns.next(now)).collect();
        assert_eq!(taken[0], now, "the first waits for nobody");
        for pair in taken.windows(2) {
            let apart = pair[1] - pair[0];
            assert!((APART / 2..=APART * 3 / 2).contains(&apart), "{apart:?}");
        }
        let later = now + Duration::from_secs(1);
        assert_eq!(turns.next(later), later, "nor does who comes when all have begun");
    }
}
