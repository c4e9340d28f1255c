//! App state.

use wacore::appstate::hash::HashState;
use wacore::store::traits::AppStateSyncKey;
use wacore_appstate::processor::AppStateMutationMAC;

use crate::support::Subject;

fn mac(index: impl Into<Vec<u8>>, value: u8) -> AppStateMutationMAC {
    AppStateMutationMAC {
        index_mac: index.into(),
        value_mac: vec![value; 32],
    }
}

#[tokio::test]
async fn sync_keys() {
    for subject in Subject::both().await {
        let open = || subject.open();
        assert!(open().get_sync_key(b"a").await.unwrap().is_none());
        assert_eq!(open().get_latest_sync_key_id().await.unwrap(), None);
        for (id, timestamp) in [(b"a", 1), (b"b", 2), (b"a", 3)] {
            let key = AppStateSyncKey {
                key_data: vec![0, 255],
                fingerprint: vec![9],
                timestamp,
            };
            open().set_sync_key(id, key).await.unwrap();
            assert_eq!(
                open().get_latest_sync_key_id().await.unwrap().as_deref(),
                Some(&id[..])
            );
        }
        let key = open().get_sync_key(b"a").await.unwrap().unwrap();
        assert_eq!(
            (key.key_data, key.fingerprint, key.timestamp),
            (vec![0, 255], vec![9], 3)
        );
        assert_eq!(open().get_sync_key(b"b").await.unwrap().unwrap().timestamp, 2);
    }
}

#[tokio::test]
async fn versions() {
    for subject in Subject::both().await {
        let open = || subject.open();
        assert_eq!(open().get_version("regular").await.unwrap().version, 0);
        let state = HashState {
            version: 7,
            hash: [3; 128],
            ..HashState::default()
        };
        open().set_version("regular", state).await.unwrap();
        let read = open().get_version("regular").await.unwrap();
        assert_eq!((read.version, read.hash), (7, [3; 128]));
        assert_eq!(open().get_version("regular_high").await.unwrap().version, 0);
    }
}

#[tokio::test]
async fn mutation_macs() {
    for subject in Subject::both().await {
        let open = || subject.open();
        // Several to a bucket, one in each bucket, one shorter than a digest.
        let first: Vec<_> = (0..=255)
            .map(|n| mac([n; 32], n))
            .chain([mac([0, 1], 200)])
            .collect();
        open().put_mutation_macs("regular", 1, &first).await.unwrap();
        open()
            .put_mutation_macs("regular", 2, &[mac([1; 32], 100)])
            .await
            .unwrap();
        open()
            .put_mutation_macs("regular_high", 1, &[mac([1; 32], 50)])
            .await
            .unwrap();
        assert_eq!(
            open().get_mutation_mac("regular", &[1; 32]).await.unwrap(),
            Some(vec![100; 32])
        );
        assert_eq!(
            open().get_mutation_mac("regular", &[0, 1]).await.unwrap(),
            Some(vec![200; 32])
        );
        assert_eq!(open().get_mutation_mac("critical", &[1; 32]).await.unwrap(), None);

        let gone = [vec![2; 32], vec![0, 1], vec![9; 31]];
        open().delete_mutation_macs("regular", &gone).await.unwrap();
        let found = open()
            .get_mutation_macs("regular", &[[1; 32], [2; 32], [3; 32], [200; 32]])
            .await
            .unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[&[200; 32]], vec![200; 32]);
        assert!(!found.contains_key(&[2; 32]));

        open().clear_mutation_macs("regular").await.unwrap();
        assert_eq!(open().get_mutation_mac("regular", &[1; 32]).await.unwrap(), None);
        assert_eq!(
            open().get_mutation_mac("regular_high", &[1; 32]).await.unwrap(),
            Some(vec![50; 32])
        );
    }
}
