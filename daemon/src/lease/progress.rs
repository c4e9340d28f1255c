//! Whether anything runs where the shards are served.
//!
//! Beats have a thread of their own, so they go on while the runtime of the shards is busy. But a daemon that beats and serves
//! nothing would keep its shards from everyone. So each beat gives that runtime something to run, and the next one looks
//! whether it ran.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{error, info, warn};

/// After so long in which nothing ran this daemon beats no more, and others take its shards a lease later. A busy runtime
/// comes back within seconds, and its connections outlast that: the library asks WhatsApp for a sign of life every 15 to
/// 30 s. After that long little of them is left to keep, and messages wait for a daemon that can send them.
pub(super) const LONGEST_STANDSTILL: Duration = Duration::from_secs(30);

/// After so long this daemon takes no shards until something runs again: nobody would serve them. It keeps those that it has.
/// It looks once a second, so a shorter time says little.
const NO_TAKES_AFTER: Duration = Duration::from_secs(2);

/// After so long that is logged.
const LOGGED_AFTER: Duration = Duration::from_secs(5);

/// The most that counts between two looks, of which there is one a second. A process that stood still has not had the time.
const LONGEST_STEP: Duration = Duration::from_secs(2);

/// What is known of a runtime's progress.
#[derive(Debug)]
pub(super) struct Progress {
    runtime: Handle,
    longest: Duration,
    /// What it was given to run.
    given: Option<JoinHandle<()>>,
    last_look: Option<Instant>,
    /// For how long it has not run that, as far as was seen.
    stands: Duration,
}

impl Progress {
    /// Of this runtime, which may run nothing for so long.
    pub fn of(runtime: Handle, longest: Duration) -> Self {
        Self {
            runtime,
            longest,
            given: None,
            last_look: None,
            stands: Duration::ZERO,
        }
    }

    /// Looks whether the runtime goes on, and gives it something to run anew where it does. It counts as going on until it
    /// has run nothing for too long.
    pub fn goes_on(&mut self, now: Instant) -> bool {
        let last = self.last_look.replace(now).unwrap_or(now);
        if self.given.as_ref().is_none_or(JoinHandle::is_finished) {
            if self.stands >= self.longest {
                info!("something runs again where shards are served: this daemon beats again");
            }
            self.stands = Duration::ZERO;
            self.given = Some(self.runtime.spawn(async {}));
            return true;
        }
        let before = self.stands;
        self.stands += now.saturating_duration_since(last).min(LONGEST_STEP);
        let seconds = self.stands.as_secs();
        let passes = |bound: Duration| before < bound && self.stands >= bound;
        if passes(self.longest) {
            error!(
                seconds,
                "nothing runs where shards are served: this daemon does not beat until something does"
            );
        } else if passes(LOGGED_AFTER) {
            warn!(
                seconds,
                "nothing runs where shards are served: too much is to be done, or something blocks"
            );
        }
        self.stands < self.longest
    }

    /// Whether, at the last look, it had run nothing for so long that it is to have no further shards.
    pub fn stands_still(&self) -> bool {
        self.stands >= NO_TAKES_AFTER
    }
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, Runtime};
    use tokio::task::yield_now;

    use super::*;

    /// A runtime that runs what it was given when the test lets it.
    fn runtime() -> Runtime {
        Builder::new_current_thread().build().expect("a runtime")
    }

    #[test]
    fn a_runtime_that_runs_nothing_is_found_out_and_may_come_back() {
        let (runtime, start) = (runtime(), Instant::now());
        let mut progress = Progress::of(runtime.handle().clone(), LONGEST_STANDSTILL);
        let mut goes_on = |second| progress.goes_on(start + Duration::from_secs(second));
        for second in 0..30 {
            assert!(goes_on(second), "{second}");
        }
        for second in 30..40 {
            assert!(!goes_on(second), "{second}");
        }
        runtime.block_on(yield_now());
        // It is asked anew, and stands still again.
        for second in 40..70 {
            assert!(goes_on(second), "{second}");
        }
        assert!(!goes_on(70));
    }

    #[test]
    fn a_runtime_that_runs_nothing_for_two_seconds_is_to_have_no_further_shards() {
        let (runtime, start) = (runtime(), Instant::now());
        let mut progress = Progress::of(runtime.handle().clone(), LONGEST_STANDSTILL);
        let mut stands_still = |second| {
            progress.goes_on(start + Duration::from_secs(second));
            progress.stands_still()
        };
        assert_eq!([0, 1, 2, 3].map(&mut stands_still), [false, false, true, true]);
        runtime.block_on(yield_now());
        assert_eq!([4, 5, 6].map(&mut stands_still), [false, false, true]);
    }

    #[test]
    fn a_busy_runtime_that_runs_something_at_times_goes_on() {
        let (runtime, start) = (runtime(), Instant::now());
        let mut progress = Progress::of(runtime.handle().clone(), LONGEST_STANDSTILL);
        for second in 0..200 {
            if second % 25 == 0 {
                runtime.block_on(yield_now());
            }
            assert!(progress.goes_on(start + Duration::from_secs(second)), "{second}");
        }
    }

    #[test]
    fn a_time_in_which_the_process_stood_still_does_not_count() {
        let (runtime, start) = (runtime(), Instant::now());
        let mut progress = Progress::of(runtime.handle().clone(), LONGEST_STANDSTILL);
        assert!(progress.goes_on(start));
        assert!(progress.goes_on(start + Duration::from_hours(1)));
    }
}
