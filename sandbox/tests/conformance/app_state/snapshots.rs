//! Snapshots: what a companion gets that knows nothing of a long collection.

use wacore_binary::Jid;

use super::{agree, catch_up, pinned};
use crate::client::TestClient;
use crate::net::{Admin, start_with};
use crate::web::Web;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_companion_gets_a_snapshot_and_goes_on_with_patches() {
    let sandbox = start_with(None, |config| config.app_state_snapshot_from = 3).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let (one, phone) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let chats: Vec<Jid> = (0..6).map(|n| Jid::pn(format!("1555010008{n:02}"))).collect();
    let client = one.client();
    for chat in &chats[..5] {
        client.chat_actions().pin_chat(chat).await.expect("pinned");
    }
    client
        .chat_actions()
        .unpin_chat(&chats[0])
        .await
        .expect("unpinned");

    let (third, _) = TestClient::paired_with(&sandbox.ws_url(), admin, Some(&phone), web.clone()).await;
    for chat in &chats[1..5] {
        pinned(&third, chat, true).await;
    }
    pinned(&third, &chats[0], false).await;
    let downloads = web.exchanges();
    assert_eq!(downloads.len(), 1, "of the five collections one is long");
    agree(&one, &third, "regular_low", 6).await;

    client.chat_actions().pin_chat(&chats[5]).await.expect("pinned");
    pinned(&third, &chats[5], true).await;
    third
        .client()
        .chat_actions()
        .pin_chat(&chats[0])
        .await
        .expect("pinned");
    catch_up(&one).await;
    agree(&one, &third, "regular_low", 8).await;
    assert_eq!(web.exchanges().len(), 1, "patches need no media host");
    one.stop().await;
    third.stop().await;
    sandbox.shutdown().await;
}
