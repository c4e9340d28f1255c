//! Identities, sessions, prekeys and sender keys.

use std::sync::Arc;

use bytes::Bytes;
use wacore::store::traits::SignalStore as _;

use crate::support::{Subject, World};

const ALICE: &str = "100000000000001@lid";
const ALICES_LAPTOP: &str = "100000000000001:7@lid";

#[tokio::test]
async fn identities() {
    for subject in Subject::both().await {
        let open = || subject.open();
        assert_eq!(open().load_identity(ALICE).await.unwrap(), None);
        open().put_identity(ALICE, [1; 32]).await.unwrap();
        open()
            .put_identities_batch(&[(ALICE.into(), [2; 32]), (ALICES_LAPTOP.into(), [3; 32])])
            .await
            .unwrap();
        assert_eq!(open().load_identity(ALICE).await.unwrap(), Some([2; 32]));
        assert_eq!(open().load_identity(ALICES_LAPTOP).await.unwrap(), Some([3; 32]));
        open().delete_identity(ALICE).await.unwrap();
        assert_eq!(open().load_identity(ALICE).await.unwrap(), None);
        assert_eq!(open().load_identity(ALICES_LAPTOP).await.unwrap(), Some([3; 32]));
    }
}

#[tokio::test]
async fn sessions() {
    for subject in Subject::both().await {
        let open = || subject.open();
        assert!(!open().has_session(ALICE).await.unwrap());
        open().put_session(ALICE, b"first").await.unwrap();
        assert!(open().has_session(ALICE).await.unwrap());
        let batch = [
            (Arc::from(ALICE), Bytes::from("second")),
            (Arc::from(ALICES_LAPTOP), Bytes::from("other")),
        ];
        open().put_sessions_batch(&batch).await.unwrap();
        assert_eq!(
            open().get_session(ALICE).await.unwrap().as_deref(),
            Some(&b"second"[..])
        );
        assert_eq!(
            open().get_session(ALICES_LAPTOP).await.unwrap().as_deref(),
            Some(&b"other"[..])
        );
        open().delete_session(ALICE).await.unwrap();
        assert_eq!(open().get_session(ALICE).await.unwrap(), None);
    }
}

#[tokio::test]
async fn signal_state_is_found_by_the_whole_user() {
    for subject in Subject::both().await {
        let open = || subject.open();
        let user = "100000000000001";
        open()
            .put_session("1000000000000012@lid", b"a longer one")
            .await
            .unwrap();
        assert!(!open().has_signal_state_for_user(user).await.unwrap());
        open().put_session(ALICE, b"x").await.unwrap();
        assert!(open().has_signal_state_for_user(user).await.unwrap());
        open().delete_session(ALICE).await.unwrap();
        assert!(!open().has_signal_state_for_user(user).await.unwrap());
        open().put_identity(ALICES_LAPTOP, [1; 32]).await.unwrap();
        assert!(open().has_signal_state_for_user(user).await.unwrap());
    }
}

#[tokio::test]
async fn prekeys() {
    for subject in Subject::both().await {
        let open = || subject.open();
        assert_eq!(open().get_max_prekey_id().await.unwrap(), 0);
        open().store_prekey(5, b"five", false).await.unwrap();
        let batch: Vec<(u32, Bytes)> = (60..200).map(|id| (id, Bytes::from(id.to_string()))).collect();
        open().store_prekeys_batch(&batch, false).await.unwrap();
        assert_eq!(open().get_max_prekey_id().await.unwrap(), 199);
        assert_eq!(
            open().load_prekey(5).await.unwrap().as_deref(),
            Some(&b"five"[..])
        );
        assert_eq!(open().load_prekey(6).await.unwrap(), None);

        open().remove_prekey(63).await.unwrap();
        open().remove_prekey(199).await.unwrap();
        open().remove_prekey(10_000).await.unwrap();
        open()
            .mark_prekeys_uploaded(&[5, 62, 63, 64, 9_999])
            .await
            .unwrap();
        assert_eq!(
            open().load_prekey(63).await.unwrap(),
            None,
            "a used prekey stays away"
        );
        assert_eq!(
            open().load_prekey(9_999).await.unwrap(),
            None,
            "marking makes none"
        );
        assert_eq!(open().get_max_prekey_id().await.unwrap(), 198);

        let mut loaded = open().load_prekeys_batch(&[198, 62, 63, 5, 7]).await.unwrap();
        loaded.sort();
        let expected = [(5, "five"), (62, "62"), (198, "198")];
        assert_eq!(loaded, expected.map(|(id, record)| (id, Bytes::from(record))));
        open().store_prekey(62, b"anew", true).await.unwrap();
        assert_eq!(
            open().load_prekey(62).await.unwrap().as_deref(),
            Some(&b"anew"[..])
        );
        open().remove_prekey(5).await.unwrap();
        open().remove_prekey(198).await.unwrap();
        assert_eq!(open().get_max_prekey_id().await.unwrap(), 197);
    }
}

#[tokio::test]
async fn a_store_that_stays_open_sees_its_own_prekeys() {
    let world = World::new().await;
    let store = world.store(1);
    for id in (0..400).step_by(50) {
        store.store_prekey(id, b"x", false).await.unwrap();
    }
    for id in (0..400).step_by(50) {
        store.remove_prekey(id).await.unwrap();
        assert_eq!(store.load_prekey(id).await.unwrap(), None);
    }
    assert_eq!(store.get_max_prekey_id().await.unwrap(), 0);
}

#[tokio::test]
async fn a_clients_812_prekeys_are_13_entries_and_remember_their_upload() {
    let world = World::new().await;
    let batch: Vec<(u32, Bytes)> = (0..812).map(|id| (id, Bytes::from(vec![7; 70]))).collect();
    world.store(1).store_prekeys_batch(&batch, false).await.unwrap();
    let packs = world.state(1).scan("").await.unwrap();
    assert_eq!(packs.len(), 13);

    let ids: Vec<u32> = (0..812).collect();
    world.store(1).mark_prekeys_uploaded(&ids).await.unwrap();
    let marked = world.state(1).scan("").await.unwrap();
    assert_eq!(marked.len(), 13);
    assert!(packs.iter().zip(&marked).all(|(before, after)| before != after));
    world.store(1).mark_prekeys_uploaded(&ids).await.unwrap();
    assert_eq!(world.state(1).scan("").await.unwrap(), marked);
}

#[tokio::test]
async fn concurrent_changes_to_one_pack_all_count() {
    let world = World::new().await;
    let store = world.store(1);
    let stored = (0..40).map(|id| {
        let store = Arc::clone(&store);
        async move { store.store_prekey(id, &id.to_be_bytes(), false).await }
    });
    futures::future::try_join_all(stored).await.unwrap();
    let ids: Vec<u32> = (0..40).collect();
    assert_eq!(world.store(1).load_prekeys_batch(&ids).await.unwrap().len(), 40);
}

#[tokio::test]
async fn signed_prekeys() {
    for subject in Subject::both().await {
        let open = || subject.open();
        assert!(open().load_all_signed_prekeys().await.unwrap().is_empty());
        for (id, record) in [(1, b"one"), (20, b"two"), (3, b"six")] {
            open().store_signed_prekey(id, record).await.unwrap();
        }
        open().store_signed_prekey(1, b"new").await.unwrap();
        open().remove_signed_prekey(3).await.unwrap();
        assert_eq!(
            open().load_signed_prekey(1).await.unwrap().as_deref(),
            Some(&b"new"[..])
        );
        assert_eq!(open().load_signed_prekey(3).await.unwrap(), None);
        let mut all = open().load_all_signed_prekeys().await.unwrap();
        all.sort();
        assert_eq!(all, [(1, b"new".to_vec()), (20, b"two".to_vec())]);
    }
}

#[tokio::test]
async fn sender_keys() {
    for subject in Subject::both().await {
        let open = || subject.open();
        let address = "120363000000000001@g.us:100000000000001.0";
        assert_eq!(open().get_sender_key(address).await.unwrap(), None);
        open().put_sender_key(address, b"first").await.unwrap();
        let batch = [
            (Arc::from(address), Bytes::from("second")),
            (Arc::from("other"), Bytes::from("x")),
        ];
        open().put_sender_keys_batch(&batch).await.unwrap();
        assert_eq!(
            open().get_sender_key(address).await.unwrap().as_deref(),
            Some(&b"second"[..])
        );
        open().delete_sender_key(address).await.unwrap();
        assert_eq!(open().get_sender_key(address).await.unwrap(), None);
        assert!(open().get_sender_key("other").await.unwrap().is_some());
    }
}
