//! Lets requests wait for one another.
//!
//! On AWS a function works on one request at a time, and other machines hold the sockets. Here requests share their processors
//! with the daemon, whose sockets wait meanwhile and are lost where that takes long. So only so many requests are worked on at
//! once. Of one caller there are fewer still: whoever sends a thousand at once waits for himself, and others hardly for him.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;

/// How many requests are worked on at once. Enough that many writes share a sync of the disk.
const AT_ONCE: usize = 64;

/// How many of them may be one caller's.
const OF_ONE_CALLER: usize = 16;

/// How long a request keeps its turn. One that takes longer waits for something else, such as a phone or a slow upload.
const LONGEST: Duration = Duration::from_secs(1);

/// Callers that are remembered, before those are forgotten who have nothing under way.
const REMEMBERED: usize = 1_024;

/// Who is at work, and who waits.
#[derive(Debug)]
pub struct Turns {
    at_once: Semaphore,
    of_one_caller: usize,
    longest: Duration,
    callers: Mutex<HashMap<u64, Weak<Semaphore>>>,
    hasher: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        Self::new(AT_ONCE, OF_ONE_CALLER, LONGEST)
    }
}

impl Turns {
    fn new(at_once: usize, of_one_caller: usize, longest: Duration) -> Self {
        Self {
            at_once: Semaphore::new(at_once),
            of_one_caller,
            longest,
            callers: Mutex::default(),
            hasher: RandomState::new(),
        }
    }

    /// Does the work of a caller when it is its turn: first come, first served.
    async fn take<T>(&self, caller: &[u8], work: impl Future<Output = T>) -> T {
        let own = self.caller(caller);
        let mut work = pin!(work);
        {
            let _own = own.acquire().await.expect("nobody closes it");
            let _turn = self.at_once.acquire().await.expect("nobody closes it");
            if let Ok(done) = tokio::time::timeout(self.longest, &mut work).await {
                return done;
            }
        }
        work.await
    }

    /// The turns of one caller.
    fn caller(&self, caller: &[u8]) -> Arc<Semaphore> {
        // The token itself is not kept.
        let name = self.hasher.hash_one(caller);
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = callers.get(&name).and_then(Weak::upgrade) {
            return turns;
        }
        if callers.len() >= REMEMBERED {
            callers.retain(|_, turns| turns.strong_count() > 0);
        }
        let turns = Arc::new(Semaphore::new(self.of_one_caller));
        callers.insert(name, Arc::downgrade(&turns));
        turns
    }
}

/// Serves a request when it is its turn. Requests without a token count as one caller's.
pub async fn in_turn(State(turns): State<Arc<Turns>>, request: Request, next: Next) -> Response {
    let caller = request
        .headers()
        .get(AUTHORIZATION)
        .map(|token| token.as_bytes().to_vec());
    turns.take(&caller.unwrap_or_default(), next.run(request)).await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use futures::poll;
    use tokio::sync::oneshot;

    use super::*;

    const A_DAY: Duration = Duration::from_hours(24);

    #[tokio::test]
    async fn a_caller_waits_for_himself_and_not_for_others() {
        let turns = Turns::new(3, 2, A_DAY);
        let (done, first) = oneshot::channel();
        let mut first = pin!(turns.take(b"one", first));
        let mut second = pin!(turns.take(b"one", pending::<()>()));
        let mut third = pin!(turns.take(b"one", ready(())));
        assert!(poll!(first.as_mut()).is_pending());
        assert!(poll!(second.as_mut()).is_pending());
        assert!(poll!(third.as_mut()).is_pending(), "two of his are under way");
        assert!(poll!(pin!(turns.take(b"other", ready(())))).is_ready());
        done.send(()).expect("it waits");
        assert!(poll!(first.as_mut()).is_ready());
        assert!(poll!(third.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn only_so_many_are_under_way() {
        let turns = Turns::new(2, 2, A_DAY);
        let (done, first) = oneshot::channel();
        let mut first = pin!(turns.take(b"one", first));
        let mut second = pin!(turns.take(b"two", pending::<()>()));
        let mut third = pin!(turns.take(b"three", ready(())));
        assert!(poll!(first.as_mut()).is_pending());
        assert!(poll!(second.as_mut()).is_pending());
        assert!(poll!(third.as_mut()).is_pending());
        done.send(()).expect("it waits");
        assert!(poll!(first.as_mut()).is_ready());
        assert!(poll!(third.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn what_waits_for_something_else_keeps_nobody() {
        let turns = Turns::new(1, 1, Duration::ZERO);
        let mut slow = pin!(turns.take(b"one", pending::<()>()));
        tokio::select! {
            () = &mut slow => panic!("it never ends"),
            () = turns.take(b"one", ready(())) => {}
        }
    }

    #[tokio::test]
    async fn whoever_goes_away_gives_the_turn_up() {
        let turns = Turns::new(1, 1, A_DAY);
        {
            let mut gone = pin!(turns.take(b"one", pending::<()>()));
            assert!(poll!(gone.as_mut()).is_pending());
        }
        turns.take(b"two", ready(())).await;
    }

    #[test]
    fn callers_who_have_nothing_under_way_are_forgotten() {
        let turns = Turns::default();
        let here = turns.caller(b"here");
        for n in 0..2 * REMEMBERED {
            turns.caller(&n.to_be_bytes());
        }
        assert!(turns.callers.lock().expect("whole").len() <= REMEMBERED);
        assert!(Arc::ptr_eq(&here, &turns.caller(b"here")));
    }
}
