//! What the store knows of what rests in the table, and does not read again.

use bytes::Bytes;
use testbed::relay::{On, Relay};
use wacore::store::traits::{ProtocolStore as _, SignalStore as _};

use crate::support::{World, session_record};

/// The library looks for each device that a user might have, where it learns the user's LID.
#[tokio::test]
async fn devices_of_which_nothing_is_stored_are_read_once() {
    let world = World::new().await;
    let earlier = world.store(1);
    let (first, seventh) = (session_record(1, 0), session_record(2, 0));
    earlier.put_session("15550001@c.us.0", &first).await.unwrap();
    earlier.put_session("15550001:7@c.us.0", &seventh).await.unwrap();
    earlier.put_identity("15550001:7@c.us.0", [7; 32]).await.unwrap();
    let relay = Relay::before(&world.database.endpoint).await;
    let reads = relay.watch(On::operations(["GetItem", "Query", "BatchGetItem"]).with("sess#"));
    let store = world.store_behind(&relay, 2);
    for device in 1..100 {
        for server in ["c.us", "hosted"] {
            let address = format!("15550001:{device}@{server}.0");
            let is_there = (device, server) == (7, "c.us");
            assert_eq!(store.get_session(&address).await.unwrap().is_some(), is_there);
            assert_eq!(store.load_identity(&address).await.unwrap().is_some(), is_there);
        }
    }
    // Of each kind two that were not there, the list, and what is there.
    assert_eq!(reads.hits(), 8);
    store.put_session("15550001:9@hosted.0", &first).await.unwrap();
    assert!(store.get_session("15550001:9@hosted.0").await.unwrap().is_some());
    assert!(store.get_session("15550001@c.us.0").await.unwrap().is_some());
    assert_eq!(store.get_session("15550001:8@c.us.0").await.unwrap(), None);
}

/// Each message from somebody new uses one up: the library reads it, and removes it when the session is stored. What the library
/// compares with the server's keys after each login is not kept for the rest of the session.
#[tokio::test]
async fn prekeys_are_kept_in_memory_while_they_are_used_up_one_by_one() {
    let world = World::new().await;
    let keys: Vec<(u32, Bytes)> = (0..128).map(|id| (id, Bytes::from(vec![7; 70]))).collect();
    let earlier = world.store(1);
    earlier.store_prekeys_batch(&keys, true).await.unwrap();
    let relay = Relay::before(&world.database.endpoint).await;
    let reads = relay.watch(On::operations(["GetItem", "Query", "BatchGetItem"]).with("sess#"));
    let store = world.store_behind(&relay, 2);
    let ids: Vec<u32> = (0..128).collect();
    for read in 1..=2 {
        assert_eq!(store.load_prekeys_batch(&ids).await.unwrap().len(), 128);
        assert_eq!(
            reads.hits(),
            read,
            "both packs in one request, and nothing is kept"
        );
    }
    for id in 0..9 {
        assert!(store.load_prekey(id).await.unwrap().is_some());
        store.remove_prekey(id).await.unwrap();
        assert_eq!(store.load_prekey(id).await.unwrap(), None);
    }
    assert_eq!(reads.hits(), 3, "the pack is read once");
}

/// The library asks for the token of a message's recipient each time.
#[tokio::test]
async fn a_privacy_token_is_read_once() {
    let world = World::new().await;
    let earlier = world.store(1);
    earlier
        .store_received_tc_token("1@lid", b"first", 10)
        .await
        .unwrap();
    let relay = Relay::before(&world.database.endpoint).await;
    let reads = relay.watch(On::operations(["GetItem", "Query", "BatchGetItem"]).with("sess#"));
    let store = world.store_behind(&relay, 2);
    for _ in 0..9 {
        let stored = store.get_tc_token("1@lid").await.unwrap().expect("stored");
        assert_eq!(stored.token, b"first");
        assert!(store.get_tc_token("2@lid").await.unwrap().is_none());
    }
    store
        .store_received_tc_token("2@lid", b"second", 20)
        .await
        .unwrap();
    store.touch_tc_token_sender_timestamp("1@lid", 30).await.unwrap();
    assert_eq!(
        store.get_tc_token("2@lid").await.unwrap().expect("stored").token,
        b"second"
    );
    let touched = store.get_tc_token("1@lid").await.unwrap().expect("stored");
    assert_eq!(
        (touched.token, touched.sender_timestamp),
        (b"first".to_vec(), Some(30))
    );
    assert_eq!(reads.hits(), 2);
    store.delete_tc_token("1@lid").await.unwrap();
    assert!(store.get_tc_token("1@lid").await.unwrap().is_none());
    let next = world.store(2);
    assert!(next.get_tc_token("1@lid").await.unwrap().is_none());
    assert!(next.get_tc_token("2@lid").await.unwrap().is_some());
}
