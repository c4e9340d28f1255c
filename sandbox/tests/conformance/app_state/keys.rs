//! The keys of the settings: new ones when a companion goes, and those that somebody lacks.

use serde_json::json;
use wacore::store::traits::AppSyncStore as _;
use wacore_binary::Jid;

use super::{act, agree, catch_up, path, pinned, setting};
use crate::client::TestClient;
use crate::net::{Admin, DEADLINE, start};

async fn newest(client: &TestClient) -> Option<Vec<u8>> {
    client.backend.get_latest_sync_key_id().await.expect("the keys")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_companion_that_goes_leaves_a_new_key_to_those_that_stay() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (stays, phone) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (goes, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&phone)).await;
    let chats = ["155501000501", "155501000502"].map(Jid::pn);
    goes.client()
        .chat_actions()
        .pin_chat(&chats[0])
        .await
        .expect("pinned");
    pinned(&stays, &chats[0], true).await;
    let first = newest(&stays).await.expect("a key");
    admin
        .ok(
            "POST",
            &format!("/admin/phones/{phone}/unlink"),
            r#"{"device": 2}"#,
        )
        .await;
    let begun = std::time::Instant::now();
    while newest(&stays).await.as_ref() == Some(&first) {
        assert!(begun.elapsed() < DEADLINE, "no new key came");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    // The same setting under the new key takes the place of the one under the old.
    act(
        admin,
        &phone,
        json!({"action": "pin", "chat": chats[0].to_string(), "pinned": false}),
    )
    .await;
    pinned(&stays, &chats[0], false).await;
    stays
        .client()
        .chat_actions()
        .pin_chat(&chats[1])
        .await
        .expect("pinned");
    let index = ["pin_v1", &chats[1].to_string()];
    admin
        .until(&path(&phone), |all| setting(all, &index).is_some())
        .await;
    let (third, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&phone)).await;
    pinned(&third, &chats[1], true).await;
    catch_up(&stays).await;
    agree(&stays, &third, "regular_low", 3).await;
    assert_eq!(newest(&third).await, newest(&stays).await);
    assert_eq!(admin.ok("GET", "/admin/stats", "").await["appStateRefused"], 0);
    for client in [stays, goes, third] {
        client.stop().await;
    }
    sandbox.shutdown().await;
}
