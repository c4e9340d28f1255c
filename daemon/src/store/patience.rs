//! Which reads wait while session state cannot be read.
//!
//! The library decrypts a message with what it reads here. Where a read fails it refuses the message, the server drops it, and
//! nobody sends it again. So reads in the library's own tasks wait until the state answers. After [`MOST`] the session is to end,
//! which drops the tasks: what they had in hand comes again at the next login, which waits for the state. What the library
//! acknowledges before it is done with it does not come again: a request to encrypt a message anew, so that its device never reads the
//! message, and a status, which nobody is told of. (An orderly end waits for such requests, see `whatsapp/runtime.rs`.)
//!
//! What we ask the library for in a task of ours is told of a failure at once. But the library holds locks while it reads, so whoever
//! asks for something that needs them asks [`Patience::is_waiting`] first.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use shared::nature::Nature;
use shared::storage::StorageError;
use shared::telemetry::chain;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How long a read takes at most, its waits included. It is shorter than what writing a message to the wire may take.
const MOST: Duration = Duration::from_secs(15);

/// The pause before a read is tried again; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

tokio::task_local! {
    /// Set in tasks whose reads wait.
    static PATIENT: ();
}

/// Runs a task of the library's: what it reads waits for the state.
pub async fn patiently<F: Future>(task: F) -> F::Output {
    PATIENT.scope((), task).await
}

/// The reads of one session that wait.
#[derive(Debug)]
pub struct Patience {
    waiting: AtomicUsize,
    most: Duration,
    over: CancellationToken,
    given_up: OnceLock<GivenUp>,
}

/// A read that was given up.
#[derive(Debug)]
pub struct GivenUp {
    /// What kind of entry it was to read.
    pub kind: String,
    /// Why it failed last.
    pub error: String,
    /// Whether this failure passes by itself.
    pub passes: bool,
}

/// A read that waits.
struct Waiting<'a>(&'a Patience);

impl Default for Patience {
    fn default() -> Self {
        Self::of(MOST)
    }
}

impl Patience {
    fn of(most: Duration) -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            most,
            over: CancellationToken::new(),
            given_up: OnceLock::new(),
        }
    }

    /// Whether a read waits, and the library may hold a lock meanwhile.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Cancelled when a read has waited for too long: the session is to end.
    pub fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// The first read that was given up, if one was.
    pub fn given_up(&self) -> Option<&GivenUp> {
        self.given_up.get()
    }

    /// Reads an entry of this kind, again and again where the task is a patient one and the failure may pass.
    pub async fn read<T, F>(&self, kind: &str, attempt: impl Fn() -> F) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let until = Instant::now() + self.most;
        let mut error = match attempt().await {
            Err(error) if waits(&error) => error,
            done => return done,
        };
        let _waiting = self.wait(kind, &error);
        if let Ok(done) = tokio::time::timeout_at(until, again(attempt, &mut error)).await {
            return done;
        }
        // Where several reads are given up, the first one counts.
        let _ = self.given_up.set(GivenUp {
            kind: kind.to_owned(),
            error: chain(&error),
            passes: error.nature() == Nature::Transient,
        });
        self.over.cancel();
        // The end of the session drops this.
        std::future::pending().await
    }

    fn wait(&self, kind: &str, error: &StorageError) -> Waiting<'_> {
        let error = chain(error);
        if self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            warn!(kind, error, "session state cannot be read: what needs it waits");
        } else {
            debug!(kind, error, "another read of session state waits");
        }
        Waiting(self)
    }
}

/// Tries a read, with pauses that grow, until it ends in another way than by a failure that may pass. `last` is the last failure.
async fn again<T, F>(attempt: impl Fn() -> F, last: &mut StorageError) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        // Many sessions wait at once.
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
        pause = LONGEST_PAUSE.min(pause * 2);
        match attempt().await {
            Err(error) if waits(&error) => *last = error,
            done => return done,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn waits(error: &StorageError) -> bool {
    !error.nature().is_permanent() && PATIENT.try_with(|()| ()).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use futures::FutureExt as _;

    use super::*;

    type Failure = fn() -> StorageError;

    fn unavailable() -> StorageError {
        StorageError::Unavailable("as the test wants it".into())
    }

    fn unknown() -> StorageError {
        StorageError::Unknown("as the test wants it".into())
    }

    /// Reads that fail so often; how it ended, and how often it was tried.
    async fn reading(failures: u32, error: Failure) -> (Result<u32, StorageError>, u32) {
        let (patience, tries) = (Patience::default(), AtomicU32::new(0));
        let read = patience.read("s", || async {
            let before = tries.fetch_add(1, Ordering::Relaxed);
            if before < failures {
                Err(error())
            } else {
                Ok(before)
            }
        });
        let read = read.await;
        assert!(!patience.is_waiting());
        (read, tries.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_task_of_the_library_waits_for_what_may_pass() {
        for error in [unavailable, unknown] {
            let (read, tries) = patiently(reading(2, error)).await;
            assert_eq!((read.expect("it has passed"), tries), (2, 3));
        }
    }

    #[tokio::test]
    async fn what_never_passes_is_told_at_once() {
        let (read, tries) = patiently(reading(2, || StorageError::Fenced)).await;
        assert!(matches!(read, Err(StorageError::Fenced)), "{read:?}");
        assert_eq!(tries, 1);
    }

    #[tokio::test]
    async fn any_other_task_is_told_at_once() {
        let (read, tries) = reading(2, unavailable).await;
        assert!(matches!(read, Err(StorageError::Unavailable(_))), "{read:?}");
        assert_eq!(tries, 1);
    }

    #[tokio::test]
    async fn whoever_waits_too_long_ends_the_session_and_answers_nothing() {
        for (error, passes) in [(unavailable as Failure, true), (unknown as Failure, false)] {
            let patience = Patience::of(Duration::ZERO);
            let reading = patience.read("s", || async { Err::<(), _>(error()) });
            let mut reading = Box::pin(patiently(reading));
            tokio::select! {
                answer = &mut reading => panic!("{answer:?}"),
                () = patience.over().cancelled() => {}
            }
            assert!((&mut reading).now_or_never().is_none());
            assert!(patience.is_waiting());
            let given_up = patience.given_up().expect("a read");
            assert_eq!(given_up.kind, "s");
            assert!(given_up.error.ends_with("as the test wants it"), "{given_up:?}");
            assert_eq!(given_up.passes, passes, "{given_up:?}");
            drop(reading);
            assert!(!patience.is_waiting());
        }
    }
}
