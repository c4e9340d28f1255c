//! A costly answer that the process keeps. However many requests want it, one of them makes it, and the others get
//! the last one meanwhile.
//!
//! The answer is made inside a request, and the work ends with that request. A task beside it would stand still while
//! a function's process is frozen between two requests, and the next caller would wait for it.

use std::sync::{Arc, Mutex as Cell};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::clock::Clock;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::http::{ApiError, log};

/// The shortest time for which an answer is given again.
const FRESH: TimeDelta = TimeDelta::seconds(10);

/// An answer is given again for this many times as long as it took to make. So even in a large deployment little of
/// the time goes into making it.
const TIMES_AS_LONG: i32 = 10;

/// The longest time for which an answer is given again.
const LONGEST: TimeDelta = TimeDelta::minutes(5);

/// How old an answer may be that is given because no newer one can be made. The answer itself says how old it is.
const OLDEST: TimeDelta = TimeDelta::hours(1);

/// The last answer.
#[derive(Debug)]
pub struct Cached<T> {
    last: Cell<Option<Last<T>>>,
    /// The request that holds this makes the next answer. The lock goes with the request.
    making: Mutex<()>,
}

#[derive(Debug, Clone)]
struct Last<T> {
    value: T,
    of: DateTime<Utc>,
    fresh_until: DateTime<Utc>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self {
            last: Cell::new(None),
            making: Mutex::new(()),
        }
    }
}

impl<T: Clone> Cached<T> {
    /// The last answer while it is fresh, else a new one from `make`. While another request makes one, or if making
    /// one fails, the last answer is given though it is older. All of it takes `within` at most.
    ///
    /// # Errors
    /// Where there is no last answer to give: the error of `make`, or of `late` where the time is over.
    pub async fn get<F: Future<Output = Result<T, ApiError>>>(
        &self,
        clock: &Arc<dyn Clock>,
        within: Duration,
        make: impl FnOnce() -> F,
        late: impl FnOnce() -> ApiError,
    ) -> Result<T, ApiError> {
        let deadline = Instant::now() + within;
        if let Some(last) = self.fresh(clock.now()) {
            return Ok(last);
        }
        let making = match (self.making.try_lock(), self.old(clock.now())) {
            (Ok(making), _) => making,
            (Err(_), Some(last)) => return Ok(last),
            (Err(_), None) => match timeout_at(deadline, self.making.lock()).await {
                Ok(making) => making,
                Err(_) => return Err(late()),
            },
        };
        let begun = clock.now();
        if let Some(last) = self.fresh(begun) {
            return Ok(last);
        }
        let answer = timeout_at(deadline, make()).await.unwrap_or_else(|_| Err(late()));
        drop(making);
        match answer {
            Ok(value) => {
                let term = ((clock.now() - begun) * TIMES_AS_LONG).clamp(FRESH, LONGEST);
                *self.last.lock().expect("no holder panics") = Some(Last {
                    value: value.clone(),
                    of: begun,
                    fresh_until: begun + term,
                });
                Ok(value)
            }
            Err(error) => {
                let last = self.old(clock.now()).ok_or_else(|| error.clone())?;
                log::went_wrong(&error, "an older answer is told");
                Ok(last)
            }
        }
    }

    fn fresh(&self, now: DateTime<Utc>) -> Option<T> {
        self.last(|last| now < last.fresh_until)
    }

    fn old(&self, now: DateTime<Utc>) -> Option<T> {
        self.last(|last| now < last.of + OLDEST)
    }

    fn last(&self, will_do: impl FnOnce(&Last<T>) -> bool) -> Option<T> {
        let last = self.last.lock().expect("no holder panics");
        let last = last.as_ref().filter(|last| will_do(last));
        last.map(|last| last.value.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures::FutureExt as _;
    use shared::clock::SteppedClock;
    use tokio::task::yield_now;

    use super::*;
    use crate::http::Code;

    /// A number that takes a while, and how often it was asked for.
    struct Asked {
        cached: Cached<u32>,
        begun: AtomicU32,
        clock: SteppedClock,
    }

    impl Asked {
        fn new() -> Self {
            Self {
                cached: Cached::default(),
                begun: AtomicU32::new(0),
                clock: SteppedClock::at(DateTime::UNIX_EPOCH),
            }
        }

        async fn get(&self, takes: TimeDelta) -> u32 {
            let made = async {
                let number = self.begun.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
                self.clock.advance(takes);
                Ok(number)
            };
            self.ask(made).await.expect("made")
        }

        async fn ask(&self, made: impl Future<Output = Result<u32, ApiError>>) -> Result<u32, ApiError> {
            self.ask_within(Duration::from_secs(15), made).await
        }

        async fn ask_within(
            &self,
            within: Duration,
            made: impl Future<Output = Result<u32, ApiError>>,
        ) -> Result<u32, ApiError> {
            let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
            let late = || ApiError::unavailable(30);
            self.cached.get(&clock, within, || made, late).await
        }
    }

    #[tokio::test]
    async fn many_who_ask_at_once_are_answered_by_one_making() {
        let asked = Asked::new();
        let none = TimeDelta::zero();
        assert_eq!(tokio::join!(asked.get(none), asked.get(none)), (0, 0));
        asked.clock.advance(FRESH - TimeDelta::milliseconds(1));
        assert_eq!(asked.get(none).await, 0);
        assert_eq!(asked.begun.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn the_last_one_is_told_while_somebody_makes_the_next() {
        let asked = Asked::new();
        let none = TimeDelta::zero();
        assert_eq!(asked.get(none).await, 0);
        asked.clock.advance(FRESH);
        assert_eq!(tokio::join!(asked.get(none), asked.get(none)), (1, 0));
        assert_eq!(asked.begun.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn what_takes_long_is_told_for_longer() {
        let asked = Asked::new();
        let takes = TimeDelta::seconds(3);
        assert_eq!(asked.get(takes).await, 0);
        asked
            .clock
            .advance(takes * (TIMES_AS_LONG - 1) - TimeDelta::milliseconds(1));
        assert_eq!(asked.get(takes).await, 0);
        asked.clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(asked.get(takes).await, 1);
    }

    #[tokio::test]
    async fn a_failure_is_not_kept_and_an_older_answer_is_told_in_its_place() {
        let asked = Asked::new();
        let fails = || async { Err(ApiError::unavailable(1)) };
        let failed = asked.ask(fails()).await;
        assert_eq!(failed.expect_err("told").code(), Code::Unavailable);
        assert_eq!(asked.ask(async { Ok(7) }).await.expect("made"), 7);
        asked.clock.advance(FRESH);
        assert_eq!(asked.ask(fails()).await.expect("told again"), 7);
        asked.clock.advance(OLDEST);
        assert!(asked.ask(fails()).await.is_err(), "what is too old is not told");
    }

    #[tokio::test]
    async fn who_goes_holds_nobody_up() {
        let asked = Asked::new();
        // This is as in a process that is frozen, and whose request is over when it thaws.
        assert!(asked.ask(std::future::pending()).now_or_never().is_none());
        assert_eq!(asked.get(TimeDelta::zero()).await, 0);
    }

    #[tokio::test]
    async fn it_ends_within_its_time() {
        let asked = Asked::new();
        let within = Duration::from_millis(10);
        let never = || asked.ask_within(within, std::future::pending());
        let (one, other) = tokio::join!(never(), never());
        assert!(one.is_err() && other.is_err());
    }
}
