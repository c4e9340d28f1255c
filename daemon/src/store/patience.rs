//! Whose reads wait while the state cannot be read.
//!
//! The library decrypts a message with what it reads here. Where a read fails it refuses the message, the server drops it, and
//! nobody sends it again. So reads in the library's own tasks wait until the state answers, or until the session's end ends the
//! task. What we ask the library for in a task of ours, such as to send, is told of a failure at once: nothing is on the wire
//! then, and it is tried again.

use std::time::Duration;

use shared::storage::StorageError;
use shared::telemetry::chain;
use tracing::{info, warn};

/// The pause before a read is tried again; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// The longest pause. It is short beside a lease, after which the session ends.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

tokio::task_local! {
    /// Set in tasks whose reads wait.
    static PATIENT: ();
}

/// Runs a task of the library's: what it reads waits for the state.
pub async fn patiently<F: Future>(task: F) -> F::Output {
    PATIENT.scope((), task).await
}

/// Reads, again and again where the task is a patient one and the failure may pass.
pub(super) async fn read<T, F>(attempt: impl Fn() -> F) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    let mut pause = FIRST_PAUSE;
    let mut is_late = false;
    loop {
        let error = match attempt().await {
            Err(error) if waits(&error) => error,
            done => {
                if is_late {
                    info!("session state that could not be read was read");
                }
                return done;
            }
        };
        if !is_late {
            warn!(error = %chain(&error), "session state cannot be read: what needs it waits");
            is_late = true;
        }
        // Many sessions wait at once.
        tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))).await;
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

fn waits(error: &StorageError) -> bool {
    !error.nature().is_permanent() && PATIENT.try_with(|()| ()).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn unavailable() -> StorageError {
        StorageError::Unavailable("as the test wants it".into())
    }

    fn unknown() -> StorageError {
        StorageError::Unknown("as the test wants it".into())
    }

    /// Reads that fail so often; how it ended, and how often it was tried.
    async fn reading(failures: u32, error: fn() -> StorageError) -> (Result<u32, StorageError>, u32) {
        let tries = AtomicU32::new(0);
        let read = read(|| async {
            let tried = tries.fetch_add(1, Ordering::Relaxed);
            if tried < failures { Err(error()) } else { Ok(tried) }
        });
        (read.await, tries.load(Ordering::Relaxed))
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
}
