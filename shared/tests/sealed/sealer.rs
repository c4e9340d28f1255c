//! Data keys in the table, and what is sealed under them.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_dynamodb::primitives::Blob;
use shared::ids::InstanceId;
use shared::nature::Nature;
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
