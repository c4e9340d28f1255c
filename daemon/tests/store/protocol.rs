//! Groups, LIDs, devices, tokens and the message buffers.

use wacore::store::traits::{
    DeviceInfo, DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, TcTokenEntry,
};

use crate::support::Subject;

fn mapping(lid: &str, phone: &str, updated_at: i64) -> LidPnMappingEntry {
    LidPnMappingEntry {
        lid: lid.to_owned(),
        phone_number: phone.to_owned(),
        created_at: 1,
        updated_at,
        learning_source: "usync".to_owned(),
    }
}

#[tokio::test]
async fn sender_key_devices() {
    for subject in Subject::both().await {
        let open = || subject.open();
        let sorted = async |group: &str| {
            let mut devices = open().get_sender_key_devices(group).await.unwrap();
            devices.sort();
            devices
        };
        let row = |jid: &str, has_key| (jid.to_owned(), has_key);
        assert!(sorted("g1").await.is_empty());
        open()
            .set_sender_key_status("g1", &[("a@lid", true), ("b@lid", true)])
            .await
            .unwrap();
        open()
            .set_sender_key_status("g1", &[("b@lid", false), ("c@lid", false)])
            .await
            .unwrap();
        open()
            .set_sender_key_status("g2", &[("a@lid", true)])
            .await
            .unwrap();
        open()
            .set_sender_key_status("g3", &[("d@lid", true)])
            .await
            .unwrap();
        assert_eq!(
            sorted("g1").await,
            [row("a@lid", true), row("b@lid", false), row("c@lid", false)]
        );

        open()
            .delete_sender_key_device_rows(&["a@lid", "c@lid"])
            .await
            .unwrap();
        open().delete_sender_key_device_rows(&[]).await.unwrap();
        assert_eq!(sorted("g1").await, [row("b@lid", false)]);
        assert!(sorted("g2").await.is_empty());
        assert_eq!(sorted("g3").await, [row("d@lid", true)]);
        open().clear_sender_key_devices("g1").await.unwrap();
        assert!(sorted("g1").await.is_empty());
        assert_eq!(sorted("g3").await.len(), 1);
        open().clear_all_sender_key_devices().await.unwrap();
        assert!(sorted("g3").await.is_empty());
    }
}

#[tokio::test]
async fn lid_mappings() {
    for subject in Subject::both().await {
        let open = || subject.open();
        let phone_of = async |lid: &str| {
            open()
                .get_lid_mapping(lid)
                .await
                .unwrap()
                .map(|entry| entry.phone_number)
        };
        let lid_of = async |phone: &str| open().get_pn_mapping(phone).await.unwrap().map(|entry| entry.lid);
        assert_eq!(phone_of("1").await, None);
        assert_eq!(lid_of("100").await, None);
        open().put_lid_mapping(&mapping("1", "100", 5)).await.unwrap();
        let stored = open().get_pn_mapping("100").await.unwrap().unwrap();
        assert_eq!(
            (
                stored.created_at,
                stored.updated_at,
                stored.learning_source.as_str()
            ),
            (1, 5, "usync")
        );

        // The LID's phone number changes: the old one leads nowhere.
        open().put_lid_mapping(&mapping("1", "200", 6)).await.unwrap();
        assert_eq!(lid_of("100").await, None);
        assert_eq!(lid_of("200").await.as_deref(), Some("1"));
        // A phone number's LID changes: the latest counts, both LIDs are known.
        let many = [
            mapping("2", "200", 7),
            mapping("3", "300", 7),
            mapping("3", "301", 8),
        ];
        open().put_lid_mappings(&many).await.unwrap();
        assert_eq!(lid_of("200").await.as_deref(), Some("2"));
        assert_eq!(phone_of("1").await.as_deref(), Some("200"));
        assert_eq!(phone_of("3").await.as_deref(), Some("301"));
        assert_eq!(lid_of("300").await, None);
        let mut all: Vec<_> = open()
            .get_all_lid_mappings()
            .await
            .unwrap()
            .into_iter()
            .map(|entry| (entry.lid, entry.phone_number))
            .collect();
        all.sort();
        assert_eq!(
            all,
            [("1", "200"), ("2", "200"), ("3", "301")].map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }
}

#[tokio::test]
async fn base_keys() {
    for subject in Subject::both().await {
        let open = || subject.open();
        open().save_base_key("a@lid", "M1", b"key").await.unwrap();
        assert!(open().has_same_base_key("a@lid", "M1", b"key").await.unwrap());
        assert!(!open().has_same_base_key("a@lid", "M1", b"other").await.unwrap());
        assert!(!open().has_same_base_key("a@lid", "M2", b"key").await.unwrap());
        open().save_base_key("a@lid", "M1", b"other").await.unwrap();
        assert!(open().has_same_base_key("a@lid", "M1", b"other").await.unwrap());
        open().delete_base_key("a@lid", "M1").await.unwrap();
        assert!(!open().has_same_base_key("a@lid", "M1", b"other").await.unwrap());
    }
}

#[tokio::test]
async fn device_lists() {
    for subject in Subject::both().await {
        let open = || subject.open();
        let record = |user: &str, timestamp, raw_id| DeviceListRecord {
            user: user.to_owned(),
            devices: vec![
                DeviceInfo::new(0, None),
                DeviceInfo::new(7, Some(3)).with_hosting(true),
            ],
            timestamp,
            phash: Some("2:hash".to_owned()),
            raw_id,
        };
        assert!(open().get_devices("1").await.unwrap().is_none());
        open().update_device_list(record("1", 1, None)).await.unwrap();
        open()
            .update_device_lists(vec![
                record("1", 2, Some(9)),
                record("2", 2, None),
                record("2", 3, None),
            ])
            .await
            .unwrap();
        let read = open().get_devices("1").await.unwrap().unwrap();
        assert_eq!(
            (read.timestamp, read.raw_id, read.phash.as_deref()),
            (2, Some(9), Some("2:hash"))
        );
        assert_eq!(
            (
                read.devices[1].device_id,
                read.devices[1].key_index,
                read.devices[1].is_hosted
            ),
            (7, Some(3), true)
        );
        assert_eq!(open().get_devices("2").await.unwrap().unwrap().timestamp, 3);
        open().delete_devices("1").await.unwrap();
        assert!(open().get_devices("1").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn group_metadata() {
    for subject in Subject::both().await {
        let open = || subject.open();
        assert_eq!(open().get_group_metadata("g1").await.unwrap(), None);
        open().put_group_metadata("g1", b"one").await.unwrap();
        open().put_group_metadata("g1", b"two").await.unwrap();
        assert_eq!(
            open().get_group_metadata("g1").await.unwrap().as_deref(),
            Some(&b"two"[..])
        );
        open().delete_group_metadata("g1").await.unwrap();
        assert_eq!(open().get_group_metadata("g1").await.unwrap(), None);
    }
}

fn token(token: &[u8], token_timestamp: i64, sender_timestamp: Option<i64>) -> TcTokenEntry {
    TcTokenEntry {
        token: token.to_vec(),
        token_timestamp,
        sender_timestamp,
    }
}

#[tokio::test]
async fn privacy_tokens() {
    for subject in Subject::both().await {
        let open = || subject.open();
        let read = async |jid: &str| {
            let entry = open().get_tc_token(jid).await.unwrap();
            entry.map(|entry| (entry.token, entry.token_timestamp, entry.sender_timestamp))
        };
        assert_eq!(read("1").await, None);
        open().put_tc_token("1", &token(b"a", 10, Some(5))).await.unwrap();
        assert_eq!(read("1").await, Some((b"a".to_vec(), 10, Some(5))));

        // The time of issue goes forward only, and leaves the token alone.
        open().touch_tc_token_sender_timestamp("1", 8).await.unwrap();
        open().touch_tc_token_sender_timestamp("1", 7).await.unwrap();
        assert_eq!(read("1").await, Some((b"a".to_vec(), 10, Some(8))));
        open().touch_tc_token_sender_timestamp("2", 7).await.unwrap();
        assert_eq!(read("2").await, Some((vec![], 7, Some(7))));

        // A token received leaves the time of issue alone; an older one is dropped.
        open().store_received_tc_token("1", b"old", 9).await.unwrap();
        assert_eq!(read("1").await, Some((b"a".to_vec(), 10, Some(8))));
        open()
            .store_received_tc_token("1", b"same age", 10)
            .await
            .unwrap();
        assert_eq!(read("1").await, Some((b"same age".to_vec(), 10, Some(8))));
        open()
            .store_received_tc_token("2", b"older than its place", 3)
            .await
            .unwrap();
        assert_eq!(
            read("2").await,
            Some((b"older than its place".to_vec(), 3, Some(7)))
        );
        open().store_received_tc_token("3", b"first", 1).await.unwrap();
        assert_eq!(read("3").await, Some((b"first".to_vec(), 1, None)));

        let mut jids = open().get_all_tc_token_jids().await.unwrap();
        jids.sort();
        assert_eq!(jids, ["1", "2", "3"]);
        open().delete_tc_token("3").await.unwrap();
        assert_eq!(read("3").await, None);
    }
}

#[tokio::test]
async fn privacy_tokens_go_when_both_of_their_times_are_past() {
    for subject in Subject::both().await {
        let open = || subject.open();
        for (jid, entry) in [
            ("live token", token(b"t", 1_000, None)),
            ("live issue", token(b"t", 10, Some(2_000))),
            ("live issue, no token", token(b"", 10, Some(2_000))),
            ("both past", token(b"t", 999, Some(1_999))),
            ("no token, past issue", token(b"", 5_000, Some(10))),
        ] {
            open().put_tc_token(jid, &entry).await.unwrap();
        }
        assert_eq!(open().delete_expired_tc_tokens(1_000, 2_000).await.unwrap(), 2);
        let mut left = open().get_all_tc_token_jids().await.unwrap();
        left.sort();
        assert_eq!(left, ["live issue", "live issue, no token", "live token"]);
    }
}

#[tokio::test]
async fn sent_messages_are_taken_once() {
    for subject in Subject::both().await {
        let open = || subject.open();
        open().store_sent_message("chat", "M1", b"one").await.unwrap();
        open().store_sent_message("chat", "M1", b"two").await.unwrap();
        open().store_sent_message("other", "M1", b"three").await.unwrap();
        let store = open();
        let (first, second) = tokio::join!(
            store.take_sent_message("chat", "M1"),
            store.take_sent_message("chat", "M1")
        );
        let taken: Vec<_> = [first.unwrap(), second.unwrap()].into_iter().flatten().collect();
        assert_eq!(taken, [b"two".to_vec()]);
        assert_eq!(open().take_sent_message("chat", "M1").await.unwrap(), None);
        assert_eq!(open().delete_expired_sent_messages(0).await.unwrap(), 0);
        assert_eq!(open().delete_expired_sent_messages(i64::MAX).await.unwrap(), 1);
        assert_eq!(open().take_sent_message("other", "M1").await.unwrap(), None);
    }
}

#[tokio::test]
async fn pending_inbound_messages() {
    for subject in Subject::both().await {
        let open = || subject.open();
        let get = async |chat: &str, sender: &str, id: &str| {
            open().get_pending_inbound(chat, sender, id).await.unwrap()
        };
        assert_eq!(get("c", "s", "1").await, None);
        open().store_pending_inbound("c", "s", "1", b"one").await.unwrap();
        let row = |chat, id, message| PendingInboundRow {
            chat,
            sender: "s",
            id,
            message,
        };
        open()
            .store_pending_inbound_batch(&[
                row("c", "1", b"uno"),
                row("c", "2", b"due"),
                row("d", "1", b"tre"),
            ])
            .await
            .unwrap();
        assert_eq!(get("c", "s", "1").await.as_deref(), Some(&b"uno"[..]));
        assert_eq!(get("d", "s", "1").await.as_deref(), Some(&b"tre"[..]));
        assert_eq!(get("c", "t", "1").await, None);
        open().delete_pending_inbound("c", "s", "1").await.unwrap();
        assert_eq!(get("c", "s", "1").await, None);
        let key = |chat, id| PendingInboundKey {
            chat,
            sender: "s",
            id,
        };
        open()
            .delete_pending_inbound_batch(&[key("c", "2"), key("c", "never there")])
            .await
            .unwrap();
        assert_eq!(get("c", "s", "2").await, None);
        assert_eq!(open().delete_expired_pending_inbound(0).await.unwrap(), 0);
        assert_eq!(open().delete_expired_pending_inbound(i64::MAX).await.unwrap(), 1);
        assert_eq!(get("d", "s", "1").await, None);
    }
}
