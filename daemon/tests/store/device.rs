//! The device.

use testbed::relay::{Fate, On, Relay};
use wacore::store::Device;
use wacore::store::traits::DeviceStore as _;

use crate::support::{Subject, World};

#[tokio::test]
async fn a_device_is_made_once_and_saved() {
    for subject in Subject::both().await {
        let open = || subject.open();
        assert!(!open().exists().await.unwrap());
        assert!(open().load().await.unwrap().is_none());
        assert_eq!(open().create().await.unwrap(), 1);
        assert!(open().exists().await.unwrap());
        let made = open().load().await.unwrap().expect("made");

        let mut device = Device::new();
        device.push_name = "Waxwing".to_owned();
        device.pn = Some("15550000001:3@s.whatsapp.net".parse().unwrap());
        device.next_pre_key_id = 813;
        device.edge_routing_info = Some(vec![0, 255]);
        open().save(&device).await.unwrap();
        open().create().await.unwrap();
        let read = open().load().await.unwrap().expect("saved");
        assert_ne!(read.identity_key.public_key, made.identity_key.public_key);
        assert_eq!(read.identity_key.public_key, device.identity_key.public_key);
        assert_eq!(read.noise_key.public_key, device.noise_key.public_key);
        assert_eq!(read.signed_pre_key_signature, device.signed_pre_key_signature);
        assert_eq!(read.adv_secret_key, device.adv_secret_key);
        assert_eq!(read.pn, device.pn);
        assert_eq!(read.next_pre_key_id, 813);
        assert_eq!(read.edge_routing_info, device.edge_routing_info);
        assert_eq!(read.push_name, "Waxwing");
        open().snapshot_db("name", Some(b"content")).await.unwrap();
    }
}

#[tokio::test]
async fn its_data_is_not_process_memory() {
    let store = World::new().await.store(1);
    assert_eq!(store.resource_report().await.memory_bytes, Some(0));
}

#[tokio::test]
async fn a_device_that_is_looked_for_and_loaded_is_read_once() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let reads = relay.watch(On::operations(["GetItem", "BatchGetItem", "Query"]).with("sess#"));
    let store = world.store_behind(&relay, 1);
    store.create().await.unwrap();
    assert_eq!(reads.hits(), 1);
    let made = store.load().await.unwrap().expect("made");
    assert_eq!(reads.hits(), 2, "it was written since");

    let store = world.store_behind(&relay, 1);
    assert!(store.exists().await.unwrap());
    let read = store.load().await.unwrap().expect("stored");
    assert_eq!(read.adv_secret_key, made.adv_secret_key);
    assert_eq!(reads.hits(), 3);
    // What was looked for before a save does not answer after it.
    assert!(store.exists().await.unwrap());
    let changed = Device {
        login_counter: 7,
        ..read
    };
    store.save(&changed).await.unwrap();
    let read = store.load().await.unwrap().expect("stored");
    assert_eq!(read.login_counter, 7);
    assert_eq!(reads.hits(), 5);
}

/// The library saves the device a few times as a session begins, and changes little of it.
#[tokio::test]
async fn a_device_is_written_only_where_it_differs_from_the_stored_one() {
    let world = World::new().await;
    world.store(1).create().await.unwrap();
    let relay = Relay::before(&world.database.endpoint).await;
    let writes = relay.watch(On::operation("PutItem").with("sess#"));
    let store = world.store_behind(&relay, 2);
    let device = store.load().await.unwrap().expect("made");
    store.save(&device).await.unwrap();
    // A version that the session was told is no news.
    let noted = Device {
        app_version_last_fetched_ms: device.app_version_last_fetched_ms + 1,
        ..device.clone()
    };
    store.save(&noted).await.unwrap();
    assert_eq!(writes.hits(), 0);
    let counted = Device {
        login_counter: device.login_counter + 1,
        ..noted.clone()
    };
    for _ in 0..2 {
        store.save(&counted).await.unwrap();
        let read = world.store(2).load().await.unwrap().expect("stored");
        assert_eq!(read.login_counter, counted.login_counter);
    }
    assert_eq!(writes.hits(), 1);
    let newer = Device {
        app_version_tertiary: counted.app_version_tertiary + 1,
        ..counted.clone()
    };
    store.save(&newer).await.unwrap();
    store.save(&counted).await.unwrap();
    let read = world.store(2).load().await.unwrap().expect("stored");
    assert_eq!(read.app_version_tertiary, counted.app_version_tertiary);
    assert_eq!(writes.hits(), 3);
}

/// It may have taken effect, or may do so later.
#[tokio::test]
async fn after_a_save_that_failed_the_device_of_before_is_written_again() {
    let world = World::new().await;
    world.store(1).create().await.unwrap();
    let relay = Relay::before(&world.database.endpoint).await;
    let store = world.store_behind(&relay, 2);
    let device = store.load().await.unwrap().expect("made");
    let counted = Device {
        login_counter: device.login_counter + 1,
        ..device.clone()
    };
    let lost = relay.always(On::operation("PutItem").with("sess#"), Fate::LOST);
    assert!(store.save(&counted).await.is_err());
    lost.end();
    let read = store.load().await.unwrap().expect("stored");
    assert_eq!(
        read.login_counter, counted.login_counter,
        "nobody heard that it was stored"
    );
    store.save(&device).await.unwrap();
    let read = world.store(2).load().await.unwrap().expect("stored");
    assert_eq!(read.login_counter, device.login_counter);
}

#[tokio::test]
async fn a_save_that_changes_nothing_fails_all_the_same_where_nothing_may_be_written() {
    let world = World::new().await;
    let store = world.store(1);
    store.create().await.unwrap();
    let device = store.load().await.unwrap().expect("made");
    store.save(&device).await.unwrap();
    store.shut();
    assert!(store.save(&device).await.is_err());
}
