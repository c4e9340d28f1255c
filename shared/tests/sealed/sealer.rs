//! Data keys in the table, and what is sealed under them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use shared::ids::InstanceId;
use shared::seal::{DataKey, KeyContext, KeyError, KeyWrapper, Purpose, SealError, Sealer};
use shared::storage::keys;

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
    let mut item = world.raw(&own).await.expect("stored");
    item.extend(stolen.attributes());
    world.write_raw(item).await;
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
            .raw(&keys::data_key(world.instance, Purpose::Session))
            .await
            .is_none()
    );
    sealer
        .seal(world.instance, Purpose::Content, b"item", b"hello")
        .await
        .expect("granted");
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

/// Counts how often a key is unwrapped.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn KeyWrapper>,
    unwrapped: AtomicUsize,
}

#[async_trait]
impl KeyWrapper for Counting {
    async fn generate(&self, context: &KeyContext) -> Result<(DataKey, Vec<u8>), KeyError> {
        self.inner.generate(context).await
    }

    async fn unwrap(&self, context: &KeyContext, wrapped: &[u8]) -> Result<DataKey, KeyError> {
        self.unwrapped.fetch_add(1, Ordering::Relaxed);
        self.inner.unwrap(context, wrapped).await
    }
}

#[tokio::test]
async fn a_plain_key_is_unwrapped_once_in_its_term_and_the_cache_is_bounded() {
    let world = World::new().await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = shared::seal::FileKeyWrapper::open(&directory.path().join("key")).expect("a key file");
    let file: Arc<dyn KeyWrapper> = Arc::new(file);
    let instances: Vec<_> = (1..4).map(|n| InstanceId::from_bytes([n; 16])).collect();
    let first = Sealer::new(world.table.clone(), file.clone());
    for instance in &instances {
        first
            .seal(*instance, Purpose::Content, b"a", b"x")
            .await
            .expect("sealed");
    }

    let counting = Arc::new(Counting {
        inner: file,
        unwrapped: AtomicUsize::new(0),
    });
    let sealer = Sealer::new(world.table.clone(), counting.clone()).keeping(2, Duration::from_mins(1));
    let seal = async |instance: InstanceId| {
        sealer
            .seal(instance, Purpose::Content, b"a", b"x")
            .await
            .expect("sealed");
        counting.unwrapped.load(Ordering::Relaxed)
    };
    assert_eq!(seal(instances[0]).await, 1);
    assert_eq!(seal(instances[0]).await, 1);
    assert_eq!(seal(instances[1]).await, 2);
    // The third takes the place of the one that would have gone soonest.
    assert_eq!(seal(instances[2]).await, 3);
    assert_eq!(seal(instances[1]).await, 3);
    assert_eq!(seal(instances[0]).await, 4);

    let forgetful = Sealer::new(world.table.clone(), counting.clone()).keeping(2, Duration::ZERO);
    for expected in [5, 6] {
        forgetful
            .seal(instances[0], Purpose::Content, b"a", b"x")
            .await
            .expect("sealed");
        assert_eq!(counting.unwrapped.load(Ordering::Relaxed), expected);
    }
}
