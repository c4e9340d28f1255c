//! An answer that is costly to put together, kept in the process: however many ask, one task
//! puts it together, and mostly while they are told the last one.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use shared::clock::Clock;

use crate::http::{ApiError, log};

/// For how long an answer is told again, at least.
const FRESH: TimeDelta = TimeDelta::seconds(10);

/// What took longer to put together than a tenth of that is told again for so many times as long: in a large deployment
/// too, only a part of the time goes into it.
const TIMES_AS_LONG: i32 = 10;

/// But for no longer than this.
const LONGEST: TimeDelta = TimeDelta::minutes(5);

/// For how long it is told once more, while the next one is put together.
const SPARE: TimeDelta = TimeDelta::seconds(60);

/// The last answer, and the next one while it is put together.
#[derive(Debug)]
pub struct Cached<T>(Arc<Mutex<State<T>>>);

#[derive(Debug)]
struct State<T> {
    last: Option<Last<T>>,
    next: Option<Next<T>>,
}

#[derive(Debug)]
struct Last<T> {
    value: T,
    fresh_until: DateTime<Utc>,
}

type Next<T> = Shared<BoxFuture<'static, Result<T, ApiError>>>;

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            last: None,
            next: None,
        })))
    }
}

impl<T: Clone + Send + Sync + 'static> Cached<T> {
    /// The last answer while it is young enough, and what `make` makes where there is none. What is made is made to its
    /// end, whether its caller waits or not. A failure is told to those who wait, and forgotten.
    pub async fn get<F>(&self, clock: &Arc<dyn Clock>, make: impl FnOnce() -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>> + Send + 'static,
    {
        let next = {
            let mut state = self.0.lock().expect("no holder panics");
            let State { last, next } = &mut *state;
            let now = clock.now();
            let last = last.as_ref().filter(|last| now < last.fresh_until + SPARE);
            if let Some(last) = last
                && now < last.fresh_until
            {
                return Ok(last.value.clone());
            }
            let next = next.get_or_insert_with(|| self.begin(clock.clone(), make()));
            if let Some(last) = last {
                return Ok(last.value.clone());
            }
            next.clone()
        };
        next.await
    }

    fn begin(
        &self,
        clock: Arc<dyn Clock>,
        work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
    ) -> Next<T> {
        let (begun, state) = (clock.now(), self.0.clone());
        let made = tokio::spawn(async move {
            let made = AssertUnwindSafe(work).catch_unwind().await;
            let made = made.unwrap_or_else(|_| Err(ApiError::internal()));
            let mut state = state.lock().expect("no holder panics");
            state.next = None;
            match &made {
                Ok(value) => {
                    let term = ((clock.now() - begun) * TIMES_AS_LONG).clamp(FRESH, LONGEST);
                    state.last = Some(Last {
                        value: value.clone(),
                        fresh_until: begun + term,
                    });
                }
                Err(error) => log::went_wrong(error, "an answer that is told again"),
            }
            made
        });
        made.map(|made| made.unwrap_or_else(|end| Err(ApiError::internal().caused_by(end))))
            .boxed()
            .shared()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use shared::clock::SteppedClock;
    use tokio::task::yield_now;

    use super::*;
    use crate::http::Code;

    /// A number that takes a while, and how often it was asked for.
    #[derive(Default)]
    struct Asked {
        cached: Cached<u32>,
        begun: Arc<AtomicU32>,
    }

    impl Asked {
        async fn get(&self, clock: &SteppedClock, takes: TimeDelta) -> Result<u32, ApiError> {
            let (begun, stepped) = (self.begun.clone(), clock.clone());
            let clock: Arc<dyn Clock> = Arc::new(clock.clone());
            let make = || async move {
                let number = begun.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
                stepped.advance(takes);
                Ok(number)
            };
            self.cached.get(&clock, make).await
        }
    }

    fn clock() -> SteppedClock {
        SteppedClock::at(DateTime::UNIX_EPOCH)
    }

    async fn settle() {
        for _ in 0..8 {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn many_who_ask_at_once_are_answered_by_one_making() {
        let (asked, clock) = (Asked::default(), clock());
        let ask = || async { asked.get(&clock, TimeDelta::zero()).await.expect("made") };
        assert_eq!(tokio::join!(ask(), ask()), (0, 0));
        clock.advance(FRESH - TimeDelta::milliseconds(1));
        assert_eq!(ask().await, 0);
        settle().await;
        assert_eq!(asked.begun.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn the_last_one_is_told_while_the_next_is_made() {
        let (asked, clock) = (Asked::default(), clock());
        let ask = || async { asked.get(&clock, TimeDelta::zero()).await.expect("made") };
        assert_eq!(ask().await, 0);
        clock.advance(FRESH);
        assert_eq!(tokio::join!(ask(), ask()), (0, 0));
        settle().await;
        assert_eq!(ask().await, 1, "made behind their backs, once");
        clock.advance(FRESH + SPARE);
        assert_eq!(ask().await, 2, "what is too old is not told");
    }

    #[tokio::test]
    async fn what_takes_long_is_told_for_longer() {
        let (asked, clock) = (Asked::default(), clock());
        let takes = TimeDelta::seconds(3);
        assert_eq!(asked.get(&clock, takes).await.expect("made"), 0);
        clock.advance(takes * (TIMES_AS_LONG - 1) - TimeDelta::milliseconds(1));
        asked.get(&clock, takes).await.expect("kept");
        settle().await;
        assert_eq!(asked.begun.load(Ordering::Relaxed), 1);
        clock.advance(TimeDelta::milliseconds(1));
        asked.get(&clock, takes).await.expect("kept");
        settle().await;
        assert_eq!(asked.begun.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_failure_is_not_kept_and_a_panic_is_one() {
        let cached = Cached::<u32>::default();
        let clock: Arc<dyn Clock> = Arc::new(clock());
        let failed = cached
            .get(&clock, || async { Err(ApiError::unavailable(1)) })
            .await;
        assert_eq!(failed.expect_err("told").code(), Code::Unavailable);
        let failed = cached.get(&clock, || async { panic!("on purpose") }).await;
        assert_eq!(failed.expect_err("told").code(), Code::Internal);
        assert_eq!(cached.get(&clock, || async { Ok(7) }).await.expect("made"), 7);
    }

    #[tokio::test]
    async fn a_caller_who_goes_does_not_end_it() {
        let (asked, clock) = (Asked::default(), clock());
        let gone = asked.get(&clock, TimeDelta::zero()).now_or_never();
        assert!(gone.is_none());
        settle().await;
        assert_eq!(asked.get(&clock, TimeDelta::zero()).await.expect("kept"), 0);
    }
}
