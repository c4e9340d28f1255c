//! Message secrets.

use chrono::TimeDelta;
use wacore::store::traits::{MsgSecretEntry, MsgSecretStore as _};

use crate::support::{Subject, World};

fn entry(id: &str, secret: u8, expires_at: i64, message_ts: i64) -> MsgSecretEntry {
    MsgSecretEntry {
        chat: "chat".into(),
        sender: "sender".into(),
        msg_id: id.into(),
        secret: [secret; 32],
        expires_at,
        message_ts,
    }
}

#[tokio::test]
async fn secrets_are_kept_by_chat_sender_and_id() {
    for subject in Subject::both().await {
        let open = || subject.open();
        for (chat, sender, id, secret) in [
            ("a", "x", "1", 1),
            ("a", "x", "2", 2),
            ("a", "y", "1", 3),
            ("b", "x", "1", 4),
            ("a#x", "", "1", 5),
        ] {
            open()
                .put_msg_secret(chat, sender, id, &[secret; 32])
                .await
                .unwrap();
        }
        assert_eq!(
            open().get_msg_secret("a", "x", "1").await.unwrap(),
            Some(vec![1; 32])
        );
        assert_eq!(
            open().get_msg_secret("a", "x", "2").await.unwrap(),
            Some(vec![2; 32])
        );
        assert_eq!(
            open().get_msg_secret("a", "y", "1").await.unwrap(),
            Some(vec![3; 32])
        );
        assert_eq!(
            open().get_msg_secret("b", "x", "1").await.unwrap(),
            Some(vec![4; 32])
        );
        assert_eq!(
            open().get_msg_secret("a#x", "", "1").await.unwrap(),
            Some(vec![5; 32])
        );
        assert_eq!(open().get_msg_secret("b", "y", "1").await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_second_put_takes_the_secret_and_the_later_times() {
    for subject in Subject::both().await {
        let open = || subject.open();
        let far = 4_000_000_000;
        let store = open();
        let stored = store.put_msg_secrets(vec![
            entry("1", 1, far, 10),
            entry("2", 2, 0, 0),
            entry("1", 3, 5, 0),
        ]);
        assert_eq!(stored.await.unwrap(), 3);
        assert_eq!(
            open()
                .get_msg_secret_with_ts("chat", "sender", "1")
                .await
                .unwrap(),
            Some((vec![3; 32], 10)),
            "neither time went back"
        );
        open()
            .put_msg_secrets(vec![entry("1", 4, far - 1, 20), entry("2", 5, far, 7)])
            .await
            .unwrap();
        assert_eq!(
            open()
                .get_msg_secret_with_ts("chat", "sender", "1")
                .await
                .unwrap(),
            Some((vec![4; 32], 20))
        );
        assert_eq!(
            open()
                .get_msg_secret_with_ts("chat", "sender", "2")
                .await
                .unwrap(),
            Some((vec![5; 32], 7))
        );

        assert_eq!(open().delete_expired_msg_secrets(far - 1).await.unwrap(), 0);
        assert_eq!(open().delete_expired_msg_secrets(far).await.unwrap(), 1);
        assert_eq!(open().get_msg_secret("chat", "sender", "1").await.unwrap(), None);
        assert!(
            open()
                .get_msg_secret("chat", "sender", "2")
                .await
                .unwrap()
                .is_some(),
            "never expires"
        );
    }
}

#[tokio::test]
async fn a_secret_is_gone_at_its_deadline() {
    let world = World::new().await;
    let deadline = (world.now() + TimeDelta::minutes(5)).timestamp();
    world
        .store(1)
        .put_msg_secrets(vec![entry("1", 1, deadline, 0)])
        .await
        .unwrap();
    world.clock.advance(TimeDelta::minutes(4));
    assert!(
        world
            .store(1)
            .get_msg_secret("chat", "sender", "1")
            .await
            .unwrap()
            .is_some()
    );
    world.clock.advance(TimeDelta::minutes(1));
    assert_eq!(
        world
            .store(1)
            .get_msg_secret("chat", "sender", "1")
            .await
            .unwrap(),
        None
    );
}
