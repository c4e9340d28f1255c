//! An answer that is costly to put together, kept in the process for some seconds: however
//! many ask, it is put together once in that time.

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;

/// What was put together last, and when that was begun.
#[derive(Debug)]
pub struct Cached<T>(Mutex<Option<(DateTime<Utc>, T)>>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Cached<T> {
    /// What is kept, if it was begun less than `term` before `now`; else what `make` makes.
    /// Whoever comes while it is made waits for it. A failure is not kept, nor is what its
    /// caller did not wait for.
    pub async fn get<E>(
        &self,
        now: DateTime<Utc>,
        term: TimeDelta,
        make: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut kept = self.0.lock().await;
        if let Some((begun, value)) = &*kept
            && now - *begun < term
        {
            return Ok(value.clone());
        }
        let value = make.await?;
        *kept = Some((now, value.clone()));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn many_who_ask_at_once_are_answered_by_one_making() {
        let (cached, made) = (Cached::default(), AtomicU32::new(0));
        let ask = |seconds| {
            let now = DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
            cached.get(now, TimeDelta::seconds(10), async {
                tokio::task::yield_now().await;
                Ok::<_, Infallible>(made.fetch_add(1, Ordering::Relaxed))
            })
        };
        assert_eq!(tokio::join!(ask(0), ask(0), ask(9)), (Ok(0), Ok(0), Ok(0)));
        assert_eq!(ask(10).await, Ok(1), "it is too old");
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let cached = Cached::default();
        let (now, term) = (DateTime::UNIX_EPOCH, TimeDelta::seconds(10));
        assert_eq!(cached.get(now, term, async { Err("no") }).await, Err("no"));
        assert_eq!(cached.get(now, term, async { Ok::<_, &str>(7) }).await, Ok(7));
    }
}
