//! What only ours promises: terms, fences, and nothing in the clear.

use std::sync::Arc;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use chrono::TimeDelta;
use daemon::store::{MAX_TEXT, MissingInbound, SessionStore, is_stub};
use shared::storage::keys;
use testbed::relay::{Fate, On, Relay};
use tokio::sync::mpsc;
use wacore::proto_helpers::MessageExt as _;
use wacore::store::Device;
use wacore::store::traits::{
    DeviceStore as _, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore as _,
    SignalStore as _,
};

use waproto::whatsapp as wa;

use crate::support::{INSTANCE, World, session_record};

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
async fn an_inbound_buffer_that_fails_says_so() {
    let world = World::new().await;
    let row = PendingInboundRow {
        chat: "c",
        sender: "s",
        id: "1",
        message: b"text",
    };
    world.store(2).store_pending_inbound_batch(&[row]).await.unwrap();
    let late = world.store(1);
    assert!(!late.inbound_lost().is_cancelled());
    assert!(late.store_pending_inbound_batch(&[row]).await.is_err());
    assert!(late.inbound_lost().is_cancelled());
}

#[tokio::test]
async fn a_message_that_no_item_holds_is_buffered_as_a_stub_beside_its_neighbours() {
    let world = World::new().await;
    let store = world.store(1);
    let text = |text: &str| {
        waproto::codec::message_to_vec(&wa::Message {
            conversation: Some(text.to_owned()),
            ..wa::Message::default()
        })
    };
    let (large, image) = (
        text(&"x".repeat(400_000)),
        waproto::codec::message_to_vec(&wa::Message {
            image_message: buffa::MessageField::some(wa::message::ImageMessage {
                jpeg_thumbnail: Some(vec![7; 3_000_000]),
                ..wa::message::ImageMessage::default()
            }),
            ..wa::Message::default()
        }),
    );
    let small = text("hello");
    let row = |id: &'static str, message| PendingInboundRow {
        chat: "c",
        sender: "s",
        id,
        message,
    };
    let rows = [row("1", &large[..]), row("2", &small), row("3", &image)];
    store.store_pending_inbound_batch(&rows).await.unwrap();
    assert!(!store.inbound_lost().is_cancelled(), "the session goes on");

    let received: Vec<_> = ["1", "2", "3"].map(|id| store.received_at("c", "s", id)).into();
    assert!(received.is_sorted() && received[0] >= Some(world.now()));
    world.clock.advance(TimeDelta::minutes(5));
    let store = world.store(1);
    let mut kept = Vec::new();
    for id in ["1", "2", "3"] {
        let bytes = store.get_pending_inbound("c", "s", id).await.unwrap().unwrap();
        kept.push(waproto::codec::message_decode(&bytes).unwrap());
    }
    assert_eq!(kept[0].text_content().map(str::len), Some(MAX_TEXT + 1));
    assert_eq!(kept[1].text_content(), Some("hello"));
    assert!(is_stub(&kept[2]));
    // Stored anew by the library as it is replayed, each keeps its time.
    store.store_pending_inbound_batch(&rows).await.unwrap();
    let again: Vec<_> = ["1", "2", "3"].map(|id| store.received_at("c", "s", id)).into();
    assert_eq!(again, received);
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

#[tokio::test]
async fn an_incoming_message_that_was_neither_buffered_nor_committed_is_told() {
    let world = World::new().await;
    let (sender, mut told) = mpsc::channel(1);
    let store = SessionStore::new(world.state(1), Arc::new(world.clock.clone())).telling_missing(sender);
    let message = |id: &str| MissingInbound {
        chat: "c".into(),
        sender: "s".into(),
        id: id.into(),
    };

    store.store_pending_inbound("c", "s", "1", b"text").await.unwrap();
    assert!(store.get_pending_inbound("c", "s", "1").await.unwrap().is_some());
    let key = PendingInboundKey {
        chat: "c",
        sender: "s",
        id: "1",
    };
    store.delete_pending_inbound_batch(&[key]).await.unwrap();
    assert_eq!(store.get_pending_inbound("c", "s", "1").await.unwrap(), None);
    assert!(told.try_recv().is_err(), "it is committed");
    let items = world.table.client().scan().table_name(world.table.name());
    let items = items.send().await.unwrap();
    let forgotten = (world.now() + TimeDelta::days(30)).timestamp().to_string();
    assert!(
        items
            .items()
            .iter()
            .any(|item| !item.contains_key("v")
                && item.get("exp") == Some(&AttributeValue::N(forgotten.clone()))),
        "as long as WhatsApp may bring it again"
    );

    assert!(store.get_pending_inbound("c", "s", "2").await.is_err());
    assert!(
        store.get_pending_inbound("c", "s", "3").await.is_err(),
        "one too many is not acknowledged either"
    );
    assert_eq!(*told.try_recv().unwrap(), message("2"));
    assert!(told.try_recv().is_err());
}

/// Its ratchets were lost with the client that had buffered it, but not the buffer: to the library it is new.
#[tokio::test]
async fn a_message_that_is_decrypted_anew_keeps_the_time_of_its_first_copy() {
    let world = World::new().await;
    let first = world.store(1);
    first.store_pending_inbound("c", "s", "1", b"text").await.unwrap();
    let came = first.received_at("c", "s", "1").expect("buffered");
    world.clock.advance(TimeDelta::minutes(1));
    let second = world.store(2);
    second
        .store_pending_inbound("c", "s", "1", b"text")
        .await
        .unwrap();
    assert_eq!(second.received_at("c", "s", "1"), Some(came));
    second
        .store_pending_inbound("c", "s", "2", b"text")
        .await
        .unwrap();
    let next = second.received_at("c", "s", "2").expect("buffered");
    assert!(
        next >= came + TimeDelta::minutes(1),
        "another message has its own"
    );
}

/// The ratchet or the acknowledgement was lost after the commit: to the library it is new once more.
#[tokio::test]
async fn a_message_that_was_committed_and_comes_again_keeps_its_time() {
    let world = World::new().await;
    let first = world.store(1);
    let ids = ["1", "2", "3"];
    let row = |id| PendingInboundRow {
        chat: "c",
        sender: "s",
        id,
        message: b"text",
    };
    let rows = ids.map(row);
    first.store_pending_inbound_batch(&rows).await.unwrap();
    let came = ids.map(|id| first.received_at("c", "s", id).expect("buffered"));
    let keys = ids.map(|id| PendingInboundKey {
        chat: "c",
        sender: "s",
        id,
    });
    first.delete_pending_inbound_batch(&keys[..2]).await.unwrap();
    first.delete_pending_inbound("c", "s", "3").await.unwrap();

    for (token, days) in [(2, 1), (3, 20)] {
        world.clock.advance(TimeDelta::days(days));
        let later = world.store(token);
        later.store_pending_inbound_batch(&rows).await.unwrap();
        let again = ids.map(|id| later.received_at("c", "s", id).expect("buffered"));
        assert_eq!(again, came, "in its place in the log, under the same ids");
        later.delete_pending_inbound_batch(&keys).await.unwrap();
    }
}

/// What a session asks of the table before its first message must not grow with what was committed before it.
#[tokio::test]
async fn a_session_that_begins_reads_nothing_of_what_was_committed_and_buffered() {
    let world = World::new().await;
    let first = world.store(1);
    for id in ["1", "2", "3"] {
        first.store_pending_inbound("c", "s", id, b"text").await.unwrap();
    }
    let came = ["1", "2"].map(|id| first.received_at("c", "s", id));
    assert!(came.iter().all(Option::is_some));
    first.delete_pending_inbound("c", "s", "1").await.unwrap();
    world.clock.advance(TimeDelta::days(1));
    let relay = Relay::before(&world.database.endpoint).await;
    let reads = relay.watch(On::operations(["GetItem", "Query", "BatchGetItem"]).with("sess#"));
    let second = world.store_behind(&relay, 2);
    for id in ["1", "2", "4"] {
        second.store_pending_inbound("c", "s", id, b"text").await.unwrap();
    }
    assert_eq!(reads.hits(), 0);
    assert_eq!(second.received_at("c", "s", "1"), came[0], "it was committed");
    assert_eq!(second.received_at("c", "s", "2"), came[1], "it was buffered");
}

#[tokio::test]
async fn a_buffered_message_that_does_not_open_stops_no_session() {
    let world = World::new().await;
    let first = world.store(1);
    first.store_pending_inbound("c", "s", "1", b"text").await.unwrap();
    let came = first.received_at("c", "s", "1").expect("buffered");
    let buffered = world.state(1).keys("in#", None).await.unwrap().items;
    let [buffered] = &buffered[..] else {
        panic!("{buffered:?}");
    };
    let garbage = AttributeValue::B(Blob::new(&b"it does not open"[..]));
    world
        .set(&keys::session_entry(INSTANCE, &buffered.key), "v", garbage)
        .await;
    world.clock.advance(TimeDelta::minutes(1));
    let second = world.store(1);
    for id in ["2", "1"] {
        second.store_pending_inbound("c", "s", id, b"text").await.unwrap();
    }
    assert!(!second.inbound_lost().is_cancelled());
    assert_eq!(second.received_at("c", "s", "1"), Some(came));
    let read = second.get_pending_inbound("c", "s", "1").await.unwrap();
    assert_eq!(read.as_deref(), Some(&b"text"[..]), "it is buffered anew");
}

/// The store took it, and nobody heard that: neither the SDK, which makes the same call again, nor the session, which ends.
#[tokio::test]
async fn a_committed_message_keeps_its_time_though_nobody_hears_that_it_is_buffered_again() {
    let world = World::new().await;
    let first = world.store(1);
    first.store_pending_inbound("c", "s", "1", b"text").await.unwrap();
    let came = first.received_at("c", "s", "1");
    assert!(came.is_some());
    first.delete_pending_inbound("c", "s", "1").await.unwrap();
    let relay = Relay::before(&world.database.endpoint).await;
    let writes = || On::operations(["PutItem", "UpdateItem"]).with("sess#");

    world.clock.advance(TimeDelta::days(1));
    let lost = relay.plan(writes(), [Fate::LOST]);
    let second = world.store_behind(&relay, 2);
    second
        .store_pending_inbound("c", "s", "1", b"text")
        .await
        .unwrap();
    assert!(lost.is_done(), "the call was made again");
    assert_eq!(second.received_at("c", "s", "1"), came);
    second.delete_pending_inbound("c", "s", "1").await.unwrap();

    world.clock.advance(TimeDelta::days(1));
    let lost = relay.always(writes(), Fate::LOST);
    let third = world.store_behind(&relay, 2);
    let unheard = third.store_pending_inbound("c", "s", "1", b"text").await;
    assert!(unheard.is_err() && third.inbound_lost().is_cancelled());
    lost.end();
    let fourth = world.store(3);
    let read = fourth.get_pending_inbound("c", "s", "1").await.unwrap();
    assert_eq!(read.as_deref(), Some(&b"text"[..]));
    assert_eq!(fourth.received_at("c", "s", "1"), came, "as it is replayed");
    let fifth = world.store(4);
    fifth.store_pending_inbound("c", "s", "1", b"text").await.unwrap();
    assert_eq!(fifth.received_at("c", "s", "1"), came, "as it is decrypted again");
}

/// It is committed by a session that has neither buffered nor replayed it.
#[tokio::test]
async fn a_message_that_is_committed_twice_keeps_its_time() {
    let world = World::new().await;
    let first = world.store(1);
    first.store_pending_inbound("c", "s", "1", b"text").await.unwrap();
    let came = first.received_at("c", "s", "1");
    first.delete_pending_inbound("c", "s", "1").await.unwrap();
    world
        .store(1)
        .delete_pending_inbound("c", "s", "1")
        .await
        .unwrap();
    world.clock.advance(TimeDelta::days(1));
    let later = world.store(2);
    later.store_pending_inbound("c", "s", "1", b"text").await.unwrap();
    assert_eq!(later.received_at("c", "s", "1"), came);
}

/// An earlier build put no note beside the copy.
#[tokio::test]
async fn a_message_that_an_earlier_build_buffered_keeps_its_time() {
    let world = World::new().await;
    let first = world.store(1);
    first.store_pending_inbound("c", "s", "1", b"text").await.unwrap();
    let came = first.received_at("c", "s", "1");
    let listed = world.state(1).keys("in#", None).await.unwrap().items;
    let key = keys::session_entry(INSTANCE, &listed[0].key);
    let mut item = world.item(&key).await.expect("buffered");
    assert!(item.remove("note").is_some());
    world.put_item(item).await;
    world.clock.advance(TimeDelta::minutes(1));
    let later = world.store(2);
    later.store_pending_inbound("c", "s", "1", b"text").await.unwrap();
    assert_eq!(later.received_at("c", "s", "1"), came);

    // Nor does a session lose it that begins before the commit, or after one that knows no time.
    world.clock.advance(TimeDelta::minutes(1));
    let third = world.store(3);
    let read = third.get_pending_inbound("c", "s", "1").await.unwrap();
    assert_eq!(read.as_deref(), Some(&b"text"[..]));
    assert_eq!(third.received_at("c", "s", "1"), came, "as it is replayed");
    let fourth = world.store(4);
    fourth
        .store_pending_inbound("c", "s", "1", b"text")
        .await
        .unwrap();
    assert_eq!(
        fourth.received_at("c", "s", "1"),
        came,
        "as it is decrypted again"
    );
    world
        .store(4)
        .delete_pending_inbound("c", "s", "1")
        .await
        .unwrap();
    let fifth = world.store(5);
    fifth.store_pending_inbound("c", "s", "1", b"text").await.unwrap();
    assert_eq!(fifth.received_at("c", "s", "1"), came, "after its commit");
}
