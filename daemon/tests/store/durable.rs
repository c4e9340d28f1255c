//! What only ours promises: terms, fences, and nothing in the clear.

use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use chrono::TimeDelta;
use testbed::relay::{Fate, On, Relay};
use wacore::store::Device;
use wacore::store::traits::{DeviceStore as _, LidPnMappingEntry, ProtocolStore as _, SignalStore as _};

use crate::support::{World, session_record};

const ALICE: &str = "100000000000001@lid";

#[tokio::test]
async fn a_sent_message_rests_for_two_hours() {
    let world = World::new().await;
    world
        .store(1)
        .store_sent_message("chat", "M1", b"text")
        .await
        .unwrap();
    world
        .store(1)
        .store_sent_message("chat", "M2", b"text")
        .await
        .unwrap();
    world.clock.advance(TimeDelta::minutes(119));
    assert!(
        world
            .store(1)
            .take_sent_message("chat", "M1")
            .await
            .unwrap()
            .is_some()
    );
    world.clock.advance(TimeDelta::minutes(1));
    assert_eq!(
        world.store(1).take_sent_message("chat", "M2").await.unwrap(),
        None
    );
}

/// Its recipient asks once. Whether the table forgets the message is nobody's concern but the table's.
#[tokio::test]
async fn a_sent_message_is_taken_though_it_cannot_be_deleted() {
    let world = World::new().await;
    let stored = world.store(1);
    stored.store_sent_message("chat", "M1", b"text").await.unwrap();
    let relay = Relay::before(&world.database.endpoint).await;
    let writes = || On::operations(["PutItem", "UpdateItem"]).with("sess#");
    let store = world.store_behind(&relay, 1);
    let take = async || store.take_sent_message("chat", "M1").await.unwrap();
    let failing = relay.always(writes(), Fate::FAILED);
    assert_eq!(take().await.as_deref(), Some(&b"text"[..]));
    failing.end();
    let lost = relay.always(writes(), Fate::LOST);
    assert_eq!(take().await.as_deref(), Some(&b"text"[..]), "it is still there");
    lost.end();
    assert_eq!(take().await, None);

    // A store that is shut, or has lost its lease, answers nobody.
    stored.store_sent_message("chat", "M2", b"text").await.unwrap();
    store.shut();
    assert!(store.take_sent_message("chat", "M2").await.is_err());
}

/// The store deleted it, and nobody heard that. Later steps count on no record that may be gone.
#[tokio::test]
async fn a_session_that_goes_on_after_a_deletion_of_unknown_outcome_is_stored() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let store = world.store_behind(&relay, 1);
    let stored = async || world.store(1).get_session(ALICE).await.unwrap();
    let steps = [0, 1, 2].map(|sent| session_record(1, sent));
    store.put_session(ALICE, &steps[0]).await.unwrap();
    store.put_session(ALICE, &steps[1]).await.unwrap();
    assert_eq!(
        stored().await.as_ref(),
        Some(&steps[0]),
        "a step is kept in memory"
    );
    let lost = relay.always(On::operation("PutItem").with("sess#"), Fate::LOST);
    assert!(store.delete_session(ALICE).await.is_err());
    lost.end();
    assert_eq!(stored().await, None);
    store.put_session(ALICE, &steps[2]).await.unwrap();
    assert_eq!(stored().await.as_ref(), Some(&steps[2]));
}

/// A phone number goes from one LID to another. Half of that must not leave it with none.
#[tokio::test]
async fn a_phone_number_has_its_old_lid_or_its_new_one() {
    let world = World::new().await;
    let mapping = |lid: &str, phone: &str| LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: phone.to_owned(),
        created_at: 1,
        updated_at: 1,
        learning_source: "usync".to_owned(),
    };
    let before = [mapping("1", "100"), mapping("2", "200")];
    world.store(1).put_lid_mappings(&before).await.unwrap();
    let relay = Relay::before(&world.database.endpoint).await;
    let store = world.store_behind(&relay, 1);
    for half in ["lid#", "pn#"] {
        let failing = relay.always(On::operation("PutItem").with(half), Fate::FAILED);
        assert!(store.put_lid_mapping(&mapping("1", "200")).await.is_err());
        failing.end();
        let lid = world.store(1).get_pn_mapping("200").await.unwrap();
        assert_eq!(lid.map(|entry| entry.lid).as_deref(), Some("2"), "without {half}");
    }
    store.put_lid_mapping(&mapping("1", "200")).await.unwrap();
    let lid = world.store(1).get_pn_mapping("200").await.unwrap();
    assert_eq!(lid.map(|entry| entry.lid).as_deref(), Some("1"));
}

#[tokio::test]
async fn an_incoming_message_waits_for_seven_days_and_a_base_key_too() {
    let world = World::new().await;
    world
        .store(1)
        .store_pending_inbound("c", "s", "1", b"text")
        .await
        .unwrap();
    world.store(1).save_base_key(ALICE, "M1", b"key").await.unwrap();
    world.clock.advance(TimeDelta::days(7) - TimeDelta::seconds(1));
    assert!(
        world
            .store(1)
            .get_pending_inbound("c", "s", "1")
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        world
            .store(1)
            .has_same_base_key(ALICE, "M1", b"key")
            .await
            .unwrap()
    );
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(
        world.store(1).get_pending_inbound("c", "s", "1").await.unwrap(),
        None
    );
    assert!(
        !world
            .store(1)
            .has_same_base_key(ALICE, "M1", b"key")
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn an_old_owners_writes_are_refused() {
    let world = World::new().await;
    let old = world.store(1);
    old.put_session(ALICE, b"old").await.unwrap();
    old.store_prekey(1, b"old", false).await.unwrap();
    old.save(&Device::new()).await.unwrap();
    let new = world.store(2);
    new.put_session(ALICE, b"new").await.unwrap();
    new.remove_prekey(1).await.unwrap();
    let device = Device::new();
    new.save(&device).await.unwrap();

    assert!(
        world
            .store(1)
            .put_sessions_batch(&[(ALICE.into(), Bytes::from("late"))])
            .await
            .is_err()
    );
    assert!(world.store(1).delete_session(ALICE).await.is_err());
    assert!(world.store(1).store_prekey(1, b"late", false).await.is_err());
    assert!(world.store(1).save(&Device::new()).await.is_err());
    assert_eq!(
        new.get_session(ALICE).await.unwrap().as_deref(),
        Some(&b"new"[..])
    );
    assert_eq!(new.load_prekey(1).await.unwrap(), None);
    let read = new.load().await.unwrap().unwrap();
    assert_eq!(read.identity_key.public_key, device.identity_key.public_key);
}

#[tokio::test]
async fn what_others_make_too_large_is_forgotten_and_stands_in_nobodys_way() {
    let world = World::new().await;
    let store = world.store(1);
    let large = vec![7; 400_001];
    let session = |address: &'static str, bytes: &[u8]| (address.into(), Bytes::copy_from_slice(bytes));
    store.put_session(ALICE, b"a session").await.unwrap();
    store
        .put_sessions_batch(&[session(ALICE, &large), session("b@lid", b"another")])
        .await
        .unwrap();
    assert_eq!(world.store(1).get_session(ALICE).await.unwrap(), None);
    assert!(world.store(1).get_session("b@lid").await.unwrap().is_some());
    store.put_sender_key("g::a", b"a key").await.unwrap();
    store.put_sender_key("g::a", &large).await.unwrap();
    assert_eq!(store.get_sender_key("g::a").await.unwrap(), None);
    store.put_group_metadata("g", &large).await.unwrap();
    assert_eq!(store.get_group_metadata("g").await.unwrap(), None);
    store.store_sent_message("c", "M1", &large).await.unwrap();
    assert_eq!(store.take_sent_message("c", "M1").await.unwrap(), None);
}

#[tokio::test]
async fn nothing_rests_in_the_clear() {
    let world = World::new().await;
    let store = world.store(1);
    let device = Device::new();
    store.save(&device).await.unwrap();
    store.put_session(ALICE, b"a ratchet's state").await.unwrap();
    store
        .store_sent_message("chat", "M1", b"the text of a message")
        .await
        .unwrap();
    let items = world
        .table
        .client()
        .scan()
        .table_name(world.table.name())
        .send()
        .await
        .unwrap();
    let mut sealed = 0;
    for item in items.items() {
        for (name, attribute) in item {
            if let AttributeValue::B(bytes) = attribute {
                sealed += usize::from(name == "v");
                for secret in [&device.adv_secret_key[..], b"ratchet", b"push_name", b"message"] {
                    assert!(
                        !bytes.as_ref().windows(secret.len()).any(|part| part == secret),
                        "{name}"
                    );
                }
            }
        }
    }
    assert_eq!(sealed, 3);
}
