//! What only ours promises of incoming messages: that none is lost before its commit, and that each keeps its time.

use std::sync::Arc;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use daemon::store::{MAX_TEXT, MissingInbound, SessionStore, is_stub};
use shared::storage::keys;
use testbed::relay::{Fate, On, Relay};
use tokio::sync::mpsc;
use wacore::proto_helpers::MessageExt as _;
use wacore::store::traits::{PendingInboundKey, PendingInboundRow, ProtocolStore as _};
use waproto::whatsapp as wa;

use crate::support::{INSTANCE, World};

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
