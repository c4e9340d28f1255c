//! Data keys in the table, and what is sealed under them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::primitives::Blob;
use shared::ids::InstanceId;
use shared::nature::Nature;
use shared::seal::{DataKey, KeyContext, KeyError, KeyWrapper, Purpose, SealError, Sealer};
use shared::session_state::{Fence, SessionState as _, TableSessionState};
use shared::storage::{StorageError, keys};

use crate::support::World;

#[tokio::test]
async fn another_process_opens_what_was_sealed() {
    let world = World::new().await;
    let ciphertext = world
        .sealer()
        .seal(world.instance, Purpose::Content, b"item", b"hello")
        .await
        .expect("sealed");
    let opened = world
        .sealer()
        .open(world.instance, Purpose::Content, b"item", &ciphertext)
        .await;
    assert_eq!(opened.expect("opened"), b"hello");
}

#[tokio::test]
async fn a_value_opens_for_its_own_instance_purpose_and_name_alone() {
    let world = World::new().await;
    let sealer = world.sealer();
    let ciphertext = sealer
        .seal(world.instance, Purpose::Content, b"item", b"hello")
        .await
        .expect("sealed");
    let other = InstanceId::from_bytes([2; 16]);
    for (instance, purpose, aad) in [
        (other, Purpose::Content, &b"item"[..]),
        (world.instance, Purpose::Session, b"item"),
        (world.instance, Purpose::Content, b"another item"),
    ] {
        let opened = sealer.open(instance, purpose, aad, &ciphertext).await;
        assert!(matches!(opened, Err(SealError::DoesNotOpen)), "{opened:?}");
    }
}

#[tokio::test]
async fn a_wrapped_key_does_not_serve_another_instance() {
    let world = World::new().await;
    let sealer = world.sealer();
    let ciphertext = sealer
        .seal(world.instance, Purpose::Session, b"item", b"hello")
        .await
        .expect("sealed");
    let own = keys::data_key(world.instance, Purpose::Session);
    let stolen = keys::data_key(InstanceId::from_bytes([2; 16]), Purpose::Session);
    let mut item = world.item(&own).await.expect("stored");
    item.extend(stolen.attributes());
    world.put_item(item).await;
    let opened = world
        .sealer()
        .open(
            InstanceId::from_bytes([2; 16]),
            Purpose::Session,
            b"item",
            &ciphertext,
        )
        .await;
    assert!(
        matches!(opened, Err(SealError::Key(KeyError::WrongContext))),
        "{opened:?}"
    );
}

#[tokio::test]
async fn a_purpose_that_is_not_granted_is_an_error_before_any_key_is_made() {
    let world = World::new().await;
    let sealer = world.sealer().restricted_to(&[Purpose::Content]);
    let ciphertext = sealer
        .seal(world.instance, Purpose::Session, b"item", b"hello")
        .await;
    assert!(
        matches!(ciphertext, Err(SealError::PurposeDenied(Purpose::Session))),
        "{ciphertext:?}"
    );
    assert!(
        world
            .item(&keys::data_key(world.instance, Purpose::Session))
            .await
            .is_none()
    );
    sealer
        .seal(world.instance, Purpose::Content, b"item", b"hello")
        .await
        .expect("granted");
}

#[tokio::test]
async fn a_process_that_makes_no_keys_seals_once_another_has_made_one() {
    let world = World::new().await;
    let function = world.sealer().making_no_keys();
    let early = function
        .seal(world.instance, Purpose::Content, b"item", b"hello")
        .await;
    let Err(error) = early else {
        panic!("sealed without a key")
    };
    assert!(matches!(error, SealError::NoKey(Purpose::Content)), "{error:?}");
    assert_eq!(error.nature(), Nature::Unknown, "it may come");
    let stored = world
        .item(&keys::data_key(world.instance, Purpose::Content))
        .await;
    assert!(stored.is_none());

    let daemon = world.sealer();
    daemon
        .seal(world.instance, Purpose::Content, b"code", b"2@a,b")
        .await
        .expect("the daemon makes it");
    let sealed = function
        .seal(world.instance, Purpose::Content, b"item", b"hello")
        .await;
    let opened = daemon
        .open(
            world.instance,
            Purpose::Content,
            b"item",
            &sealed.expect("sealed"),
        )
        .await;
    assert_eq!(opened.expect("opened"), b"hello");
}

#[tokio::test]
async fn a_key_that_an_older_version_stored_is_used_where_it_lies() {
    let world = World::new().await;
    let sealed = world
        .sealer()
        .seal(world.instance, Purpose::Session, b"item", b"hello")
        .await
        .expect("sealed");
    let (key, old) = (
        keys::data_key(world.instance, Purpose::Session),
        keys::old_data_key(world.instance, Purpose::Session),
    );
    let mut item = world.item(&key).await.expect("stored");
    item.extend(old.attributes());
    world.put_item(item).await;
    world.remove_item(&key).await;

    let opened = world
        .sealer()
        .open(world.instance, Purpose::Session, b"item", &sealed)
        .await;
    // What is bound to its context opens from either place.
    assert_eq!(opened.expect("opened"), b"hello");
    assert!(world.item(&key).await.is_none(), "no second key beside it");
}

#[tokio::test]
async fn a_key_is_found_by_processes_that_know_either_place_alone() {
    let world = World::new().await;
    let sealed = world
        .sealer()
        .seal(world.instance, Purpose::Content, b"item", b"hello")
        .await
        .expect("sealed");
    let places = [
        keys::data_key(world.instance, Purpose::Content),
        keys::old_data_key(world.instance, Purpose::Content),
    ];
    for (there, other) in [(0, 1), (1, 0)] {
        let item = world.item(&places[other]).await.expect("stored in both");
        world.remove_item(&places[other]).await;
        let function = world.sealer().making_no_keys();
        let opened = function
            .open(world.instance, Purpose::Content, b"item", &sealed)
            .await;
        assert_eq!(opened.expect("opened"), b"hello", "by {:?}", places[there]);
        world.put_item(item).await;
    }
}

/// While this process makes a key, one of the version before does so too and is first.
#[derive(Debug)]
struct Overtaken {
    inner: Arc<dyn KeyWrapper>,
    table: shared::storage::Table,
}

#[async_trait]
impl KeyWrapper for Overtaken {
    async fn generate(&self, context: &KeyContext) -> Result<(DataKey, Vec<u8>), KeyError> {
        let (_, theirs) = self.inner.generate(context).await?;
        let old = keys::old_data_key(context.instance, context.purpose);
        let wrapped = aws_sdk_dynamodb::types::AttributeValue::B(Blob::new(theirs));
        let put = self.table.client().put_item().table_name(self.table.name());
        let put = put
            .set_item(Some(old.attributes()))
            .item("wrapped", wrapped)
            .condition_expression("attribute_not_exists(pk)");
        put.send().await.expect("they are first");
        self.inner.generate(context).await
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<DataKey, KeyError> {
        self.inner.unwrap(context, wrapped).await
    }
}

#[tokio::test]
async fn a_key_that_the_version_before_makes_meanwhile_is_the_one_key() {
    let world = World::new().await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = shared::seal::FileKeyWrapper::open(&directory.path().join("key")).expect("a key file");
    let inner: Arc<dyn KeyWrapper> = Arc::new(file);
    let overtaken = Overtaken {
        inner: inner.clone(),
        table: world.table.clone(),
    };
    let sealed = Sealer::new(world.table.clone(), Arc::new(overtaken))
        .seal(world.instance, Purpose::Content, b"item", b"hello")
        .await
        .expect("sealed");
    let new = keys::data_key(world.instance, Purpose::Content);
    assert!(world.item(&new).await.is_none(), "no second key beside it");
    let function = Sealer::new(world.table.clone(), inner).making_no_keys();
    let opened = function
        .open(world.instance, Purpose::Content, b"item", &sealed)
        .await;
    assert_eq!(opened.expect("opened"), b"hello");
}

#[tokio::test]
async fn processes_that_begin_together_agree_on_one_key() {
    let world = World::new().await;
    let mut ciphertext = Vec::new();
    let sealers: Vec<_> = (0..8).map(|_| world.sealer()).collect();
    let sealing = sealers
        .iter()
        .map(|sealer| sealer.seal(world.instance, Purpose::Session, b"a", b"x"));
    for value in futures::future::join_all(sealing).await {
        ciphertext.push(value.expect("sealed"));
    }
    let reader = world.sealer();
    for value in ciphertext {
        reader
            .open(world.instance, Purpose::Session, b"a", &value)
            .await
            .expect("one key for all");
    }
}

#[tokio::test]
async fn deleted_keys_open_nothing_more() {
    let world = World::new().await;
    let sealer = world.sealer();
    let ciphertext = sealer
        .seal(world.instance, Purpose::Session, b"a", b"x")
        .await
        .expect("sealed");
    sealer.delete_keys(world.instance).await.expect("deleted");
    let opened = sealer
        .open(world.instance, Purpose::Session, b"a", &ciphertext)
        .await;
    assert!(matches!(opened, Err(SealError::DoesNotOpen)), "{opened:?}");
}

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
