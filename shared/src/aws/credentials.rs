//! Credentials whose fetch outlives the call that needs them.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_util::task::AbortOnDropHandle;

/// How long a fetch of credentials may take, before the next one begins anew.
const FETCH_DEADLINE: Duration = Duration::from_secs(20);

/// How long after its beginning a fetch is good for whoever asks. By then what it found may be out of date.
const FETCH_TERM: Duration = Duration::from_secs(30);

/// Credentials that a task of its own fetches. The SDK fetches them within the attempt of a call, and gives the fetch up with
/// the attempt. An attempt may take a second (see `storage::table`), so from a source that takes longer none would ever come.
/// Here the next caller waits for the same task. It runs where the caller does that begins it. So whoever must not wait for a
/// busy runtime shares no configuration with what runs there.
#[derive(Debug)]
pub(super) struct Fetched {
    source: SharedCredentialsProvider,
    /// What is under way, or has ended and was not waited for. Its caller holds this for as long as it waits.
    fetch: Mutex<Option<Fetch>>,
}

#[derive(Debug)]
struct Fetch {
    begun: Instant,
    task: AbortOnDropHandle<provider::Result>,
}

impl Fetch {
    fn begin(source: SharedCredentialsProvider) -> Self {
        Self {
            begun: Instant::now(),
            task: AbortOnDropHandle::new(tokio::spawn(fetch(source, FETCH_DEADLINE))),
        }
    }
}

/// What the source finds until the deadline, or else what it has set aside.
async fn fetch(source: SharedCredentialsProvider, deadline: Duration) -> provider::Result {
    let found = timeout(deadline, source.provide_credentials()).await;
    found.unwrap_or_else(|_| set_aside(&source).ok_or_else(|| CredentialsError::provider_timed_out(deadline)))
}

/// What a source has set aside for a fetch that is broken off. The shared handle itself answers nothing.
fn set_aside(source: &SharedCredentialsProvider) -> Option<Credentials> {
    let source: &dyn ProvideCredentials = source.as_ref();
    source.fallback_on_interrupt()
}

impl From<SharedCredentialsProvider> for Fetched {
    fn from(source: SharedCredentialsProvider) -> Self {
        Self {
            source,
            fetch: Mutex::new(None),
        }
    }
}

impl Fetched {
    async fn get(&self) -> provider::Result {
        let mut fetch = self.fetch.lock().await;
        if fetch
            .as_ref()
            .is_some_and(|fetch| fetch.begun.elapsed() >= FETCH_TERM)
        {
            *fetch = None;
        }
        if let Some(ended) = fetch.as_mut().filter(|fetch| fetch.task.is_finished()) {
            let found = (&mut ended.task).await;
            *fetch = None;
            // A failure that nobody has waited for says nothing about now.
            if let Ok(found @ Ok(_)) = found {
                return found;
            }
        }
        let under_way = fetch.get_or_insert_with(|| Fetch::begin(self.source.clone()));
        let ended = (&mut under_way.task).await;
        *fetch = None;
        ended.unwrap_or_else(|error| Err(CredentialsError::unhandled(error)))
    }
}

impl ProvideCredentials for Fetched {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.get())
    }

    fn fallback_on_interrupt(&self) -> Option<Credentials> {
        set_aside(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    use futures::poll;
    use testbed::wait::{in_time, until};
    use tokio::sync::Notify;

    use super::*;

    /// Answers when the test says so, with the fetch's number as the key's id, or that it has none.
    #[derive(Debug, Clone, Default)]
    struct Source {
        fails: Arc<AtomicBool>,
        kept: Option<Credentials>,
        fetches: Arc<AtomicU64>,
        begun: Arc<Notify>,
        answer: Arc<Notify>,
    }

    impl ProvideCredentials for Source {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(async move {
                let number = self.fetches.fetch_add(1, Ordering::SeqCst) + 1;
                self.begun.notify_one();
                self.answer.notified().await;
                if self.fails.load(Ordering::SeqCst) {
                    return Err(CredentialsError::not_loaded_no_source());
                }
                Ok(credentials(number))
            })
        }

        fn fallback_on_interrupt(&self) -> Option<Credentials> {
            self.kept.clone()
        }
    }

    fn credentials(number: u64) -> Credentials {
        Credentials::new(number.to_string(), "secret", None, None, "test")
    }

    impl Source {
        fn fetched(&self) -> Fetched {
            SharedCredentialsProvider::new(self.clone()).into()
        }

        /// A caller goes away while its fetch is under way.
        async fn begin(&self, fetched: &Fetched) {
            let mut caller = fetched.provide_credentials();
            assert!(poll!(&mut caller).is_pending(), "nobody has answered");
            in_time("a fetch", self.begun.notified()).await;
        }
    }

    async fn key_of(fetched: &Fetched) -> String {
        let found = in_time("credentials", fetched.provide_credentials()).await;
        found.expect("found").access_key_id().to_owned()
    }

    #[tokio::test]
    async fn a_fetch_goes_on_without_its_caller_and_the_next_caller_has_what_it_found() {
        let source = Source::default();
        let fetched = source.fetched();
        source.begin(&fetched).await;
        source.answer.notify_one();
        assert_eq!(key_of(&fetched).await, "1");
        source.answer.notify_one();
        assert_eq!(key_of(&fetched).await, "2", "the SDK keeps what it was given");
    }

    #[tokio::test]
    async fn what_nobody_has_waited_for_is_fetched_anew_after_a_while() {
        let source = Source::default();
        let fetched = source.fetched();
        source.begin(&fetched).await;
        let mut fetch = fetched.fetch.lock().await;
        fetch.as_mut().expect("it is under way").begun -= FETCH_TERM;
        drop(fetch);
        source.begin(&fetched).await;
        source.answer.notify_one();
        assert_eq!(key_of(&fetched).await, "2");
    }

    #[tokio::test]
    async fn a_failure_that_nobody_has_waited_for_is_not_handed_to_the_next_caller() {
        let source = Source::default();
        let fetched = source.fetched();
        source.begin(&fetched).await;
        source.fails.store(true, Ordering::SeqCst);
        source.answer.notify_one();
        until("the end of the fetch", async || {
            let fetch = fetched.fetch.lock().await;
            let fetch = fetch.as_ref().expect("nobody has asked for what it found");
            fetch.task.is_finished().then_some(())
        })
        .await;
        source.fails.store(false, Ordering::SeqCst);
        source.answer.notify_one();
        assert_eq!(key_of(&fetched).await, "2");
    }

    #[tokio::test]
    async fn a_fetch_that_takes_too_long_finds_what_its_source_has_set_aside() {
        let kept = Source {
            kept: Some(credentials(7)),
            ..Source::default()
        };
        let kept = SharedCredentialsProvider::new(kept);
        let found = fetch(kept.clone(), Duration::ZERO).await.expect("set aside");
        assert_eq!(found.access_key_id(), "7");
        let told = Fetched::from(kept).fallback_on_interrupt().expect("set aside");
        assert_eq!(told.access_key_id(), "7");
        let none = fetch(SharedCredentialsProvider::new(Source::default()), Duration::ZERO).await;
        assert!(
            matches!(none, Err(CredentialsError::ProviderTimedOut(_))),
            "{none:?}"
        );
    }

    #[tokio::test]
    async fn a_fetch_that_panics_is_told_and_the_next_begins_anew() {
        #[derive(Debug)]
        struct Broken;

        impl ProvideCredentials for Broken {
            fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
            where
                Self: 'a,
            {
                panic!("as the test wants it");
            }
        }

        let fetched = Fetched::from(SharedCredentialsProvider::new(Broken));
        for _ in 0..2 {
            let told = in_time("an error", fetched.provide_credentials()).await;
            assert!(matches!(told, Err(CredentialsError::Unhandled(_))), "{told:?}");
        }
    }
}
