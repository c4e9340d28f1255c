//! What a session reads at once as it begins.

use std::sync::Arc;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use daemon::store::{DEVICE, Early, SessionStore, session_entry};
use shared::storage::keys;
use testbed::relay::{Fate, On, Relay};
use wacore::store::traits::{DeviceStore as _, SignalStore as _};

use crate::support::{INSTANCE, World, session_record};

/// The account's own phone, under its two names.
const LID: &str = "100000000000001@lid.0";
const NUMBER: &str = "15550000001@c.us.0";

fn entries() -> Vec<String> {
    vec![DEVICE.to_owned(), session_entry(LID), session_entry(NUMBER)]
}

/// A world with a device, and a session under one of the names.
async fn world() -> World {
    let world = World::new().await;
    let store = world.store(1);
    store.create().await.unwrap();
    store.put_session(LID, &session_record(1, 0)).await.unwrap();
    world
}

#[tokio::test]
async fn what_was_read_early_answers_the_first_look_at_each_entry() {
    let world = world().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let reads = relay.watch(On::operations(["GetItem", "Query", "BatchGetItem"]).with("sess#"));
    let state = world.state_behind(&relay, 2);
    let early = Early::read(state.as_ref(), entries()).await.unwrap();
    let store = SessionStore::having_read(early, state, Arc::new(world.clock.clone()));
    assert!(store.exists().await.unwrap());
    assert!(store.load().await.unwrap().is_some());
    let session = store.get_session(LID).await.unwrap();
    assert_eq!(session, Some(session_record(1, 0)));
    assert_eq!(store.get_session(NUMBER).await.unwrap(), None);
    assert_eq!(reads.hits(), 1);
    let session = store.get_session(LID).await.unwrap();
    assert_eq!(session, Some(session_record(1, 0)));
    assert_eq!(store.get_session(NUMBER).await.unwrap(), None);
    assert!(store.load().await.unwrap().is_some());
    assert_eq!(reads.hits(), 4);
}

#[tokio::test]
async fn what_was_written_since_is_not_what_was_read_early() {
    let world = world().await;
    let state = world.state(2);
    let early = Early::read(state.as_ref(), entries()).await.unwrap();
    let store = SessionStore::having_read(early, state, Arc::new(world.clock.clone()));
    store.delete_session(LID).await.unwrap();
    assert_eq!(store.get_session(LID).await.unwrap(), None);
    store.put_session(NUMBER, &session_record(2, 0)).await.unwrap();
    let session = store.get_session(NUMBER).await.unwrap();
    assert_eq!(session, Some(session_record(2, 0)));
    let mut device = world.store(2).load().await.unwrap().expect("made");
    device.login_counter = 7;
    store.save(&device).await.unwrap();
    let read = store.load().await.unwrap().expect("saved");
    assert_eq!(read.login_counter, 7);
}

/// The library asks for a session with the own phone only to write into its log whether there is one.
#[tokio::test]
async fn a_damaged_entry_stops_nobody_who_does_not_need_it() {
    let world = world().await;
    let garbage = AttributeValue::B(Blob::new(&b"it does not open"[..]));
    world
        .set(&keys::session_entry(INSTANCE, &session_entry(LID)), "v", garbage)
        .await;
    let state = world.state(2);
    let early = Early::read(state.as_ref(), entries()).await.unwrap();
    let store = SessionStore::having_read(early, state, Arc::new(world.clock.clone()));
    assert!(store.load().await.unwrap().is_some());
    assert!(store.get_session(LID).await.is_err());
}

#[tokio::test]
async fn a_read_that_fails_is_an_error_and_each_entry_is_taken_once() {
    let world = world().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let away = relay.always(On::operation("BatchGetItem"), Fate::FAILED);
    let state = world.state_behind(&relay, 2);
    assert!(Early::read(state.as_ref(), entries()).await.is_err());
    away.end();
    let early = Early::read(state.as_ref(), entries()).await.unwrap();
    assert!(early.take(DEVICE).is_some_and(|found| found.0.is_some()));
    assert!(early.take(DEVICE).is_none());
}
