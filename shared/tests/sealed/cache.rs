//! Plain data keys at hand: how long they are kept, and what the key service is asked meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use shared::ids::InstanceId;
use shared::seal::{DataKey, KeyContext, KeyError, KeyWrapper, Purpose, SealError, Sealer};
use shared::session_state::{Fence, SessionState as _, TableSessionState};
use shared::storage::StorageError;

use crate::support::World;

/// Counts how often a key is unwrapped, and answers as it is told to.
#[derive(Debug)]
struct Scripted {
    inner: Arc<dyn KeyWrapper>,
    unwrapped: AtomicUsize,
    mood: Mutex<Mood>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Unwraps,
    Away,
    Silent,
    Refuses,
}

impl Scripted {
    fn new() -> (Arc<Self>, tempfile::TempDir) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = shared::seal::FileKeyWrapper::open(&directory.path().join("key")).expect("a key file");
        let scripted = Self {
            inner: Arc::new(file),
            unwrapped: AtomicUsize::new(0),
            mood: Mutex::new(Mood::Unwraps),
        };
        (Arc::new(scripted), directory)
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().expect("no holder panics") = mood;
    }

    fn unwrapped(&self) -> usize {
        self.unwrapped.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl KeyWrapper for Scripted {
    async fn generate(&self, context: &KeyContext) -> Result<(DataKey, Vec<u8>), KeyError> {
        self.inner.generate(context).await
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<DataKey, KeyError> {
        self.unwrapped.fetch_add(1, Ordering::Relaxed);
        let mood = *self.mood.lock().expect("no holder panics");
        match mood {
            Mood::Unwraps => self.inner.unwrap(context, wrapped).await,
            Mood::Away => Err(KeyError::Unavailable("away".into())),
            Mood::Silent => std::future::pending().await,
            Mood::Refuses => Err(KeyError::Refused("no permission".into())),
        }
    }
}

fn instance(n: u8) -> InstanceId {
    InstanceId::from_bytes([n; 16])
}

async fn seal(sealer: &Sealer, n: u8) -> Result<(), SealError> {
    let outcome = sealer.seal(instance(n), Purpose::Content, b"a", b"x").await;
    outcome.map(|_| ())
}

/// A sealer with nothing at hand, over keys of ten instances.
async fn over_ten(world: &World, wrapper: &Arc<Scripted>, capacity: usize, term: Duration) -> Sealer {
    let first = Sealer::new(world.table.clone(), wrapper.clone());
    for n in 0..10 {
        seal(&first, n).await.expect("sealed");
    }
    Sealer::new(world.table.clone(), wrapper.clone()).keeping(capacity, term)
}

#[tokio::test]
async fn a_plain_key_that_is_used_is_unwrapped_once_in_its_term_and_the_others_are_bounded() {
    let world = World::new().await;
    let (wrapper, _directory) = Scripted::new();
    let sealer = over_ten(&world, &wrapper, 2, Duration::from_hours(1)).await;
    let before = wrapper.unwrapped();
    for n in 1..10 {
        seal(&sealer, 0).await.expect("sealed");
        seal(&sealer, n).await.expect("sealed");
    }
    assert_eq!(wrapper.unwrapped() - before, 10, "the one in use is not dropped");
    seal(&sealer, 1).await.expect("sealed");
    assert_eq!(wrapper.unwrapped() - before, 11, "one that was not used is");

    let forgetful = Sealer::new(world.table.clone(), wrapper.clone()).keeping(2, Duration::ZERO);
    for expected in [12, 13] {
        seal(&forgetful, 0).await.expect("sealed");
        assert_eq!(wrapper.unwrapped() - before, expected);
    }
}

#[tokio::test]
async fn keys_of_a_pinned_instance_stay_however_many_others_are_used() {
    let world = World::new().await;
    let (wrapper, _directory) = Scripted::new();
    let sealer = over_ten(&world, &wrapper, 1, Duration::from_hours(1)).await;
    let pins: Vec<_> = (0..5).map(|n| sealer.pin(instance(n))).collect();
    for n in 0..10 {
        seal(&sealer, n).await.expect("sealed");
    }
    let before = wrapper.unwrapped();
    for n in 0..5 {
        seal(&sealer, n).await.expect("sealed");
    }
    assert_eq!(wrapper.unwrapped(), before);
    drop(pins);
    for n in 0..5 {
        seal(&sealer, n).await.expect("sealed");
    }
    assert!(wrapper.unwrapped() > before, "they are like the others again");
}

#[tokio::test]
async fn a_key_at_hand_serves_on_while_the_key_service_is_away_and_no_longer_where_it_refuses() {
    let world = World::new().await;
    let (wrapper, _directory) = Scripted::new();
    // Every use is beyond the term.
    let sealer = over_ten(&world, &wrapper, 10, Duration::ZERO).await;
    seal(&sealer, 0).await.expect("sealed");
    wrapper.set(Mood::Away);
    let before = wrapper.unwrapped();
    for _ in 0..3 {
        seal(&sealer, 0).await.expect("by the key at hand");
    }
    assert_eq!(wrapper.unwrapped() - before, 1, "asked once, and later again");
    let stranger = seal(&sealer, 1).await;
    assert!(
        matches!(stranger, Err(SealError::Key(KeyError::Unavailable(_)))),
        "{stranger:?}"
    );

    // A permission that is withdrawn takes effect with the term.
    wrapper.set(Mood::Unwraps);
    seal(&sealer, 2).await.expect("sealed");
    wrapper.set(Mood::Refuses);
    for _ in 0..2 {
        let refused = seal(&sealer, 2).await;
        assert!(
            matches!(refused, Err(SealError::Key(KeyError::Refused(_)))),
            "{refused:?}"
        );
    }
    wrapper.set(Mood::Away);
    let gone = seal(&sealer, 2).await;
    assert!(gone.is_err(), "what was refused does not come back by an outage");
}

#[tokio::test]
async fn a_key_service_that_does_not_answer_holds_nobody_up_for_long() {
    let world = World::new().await;
    let (wrapper, _directory) = Scripted::new();
    let sealer = over_ten(&world, &wrapper, 10, Duration::ZERO).await;
    seal(&sealer, 0).await.expect("sealed");
    wrapper.set(Mood::Silent);
    let many = (0..8).map(|_| seal(&sealer, 0));
    for sealed in futures::future::join_all(many).await {
        sealed.expect("by the key at hand");
    }
}

#[tokio::test]
async fn a_read_of_many_asks_a_key_service_that_is_away_once() {
    let world = World::new().await;
    let (wrapper, _directory) = Scripted::new();
    // With nothing at hand.
    let state = || {
        TableSessionState::new(
            world.table.clone(),
            Arc::new(Sealer::new(world.table.clone(), wrapper.clone())),
            Arc::new(world.clock.clone()),
            instance(0),
            Fence::new(1),
        )
    };
    state().put("a", b"x", None).await.expect("put");
    let wanted = ["a", "never there"].map(str::to_owned);
    wrapper.set(Mood::Away);
    let away = state().get_many(&wanted).await;
    assert!(matches!(away, Err(StorageError::Unavailable(_))), "{away:?}");
    assert_eq!(wrapper.unwrapped(), 1);
    let gone = state().get_many(&wanted[1..]).await;
    assert_eq!(gone.expect("it takes no key"), []);
    wrapper.set(Mood::Unwraps);
    let found = state().get_many(&wanted).await.expect("read");
    assert_eq!(found, [("a".to_owned(), b"x".to_vec())]);
}
