//! A patch whose MACs do not hold: nobody follows it, and the phone puts things right.

use wacore_binary::Jid;

use super::refusals::{ask, collection, forged};
use super::{agree, catch_up, path, pinned, setting, state, until_version};
use crate::client::TestClient;
use crate::net::{Admin, start};
use crate::web::Web;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_patch_is_refused_by_all_and_replaced_by_the_phone() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let url = sandbox.ws_url();
    let (one, phone) = TestClient::paired_with(&url, admin, None, web.clone()).await;
    let (other, _) = TestClient::paired_with(&url, admin, Some(&phone), web.clone()).await;
    let chats = ["155501000901", "155501000902"].map(Jid::pn);
    one.client()
        .chat_actions()
        .pin_chat(&chats[0])
        .await
        .expect("pinned");
    pinned(&other, &chats[0], true).await;
    let index = ["pin_v1", &chats[0].to_string()];
    admin
        .until(&path(&phone), |all| setting(all, &index).is_some())
        .await;
    // It is stored after it was told.
    until_version(&other, "regular_low", 1).await;
    let good = state(&other, "regular_low").await;

    // The phone is away: the companions are on their own with it.
    admin
        .ok("POST", &format!("/admin/phones/{phone}/offline"), "")
        .await;
    let forgery = ask(&one, vec![collection("regular_low", "1", Some(forged()))])
        .await
        .expect("an answer");
    assert!(forgery[0].error.is_none(), "the server reads no MACs");
    let there = ask(&other, vec![collection("regular_low", "1", None)])
        .await
        .expect("an answer");
    assert_eq!(there[0].patches.len(), 1);
    catch_up(&other).await;
    assert_eq!(
        state(&other, "regular_low").await,
        good,
        "the client does not follow"
    );

    admin
        .ok("POST", &format!("/admin/phones/{phone}/online"), "")
        .await;
    admin
        .until("/admin/stats", |stats| stats["appStateRefused"] == 1)
        .await;
    // Version 2 was the forgery, version 3 is the phone's snapshot.
    catch_up(&one).await;
    catch_up(&other).await;
    agree(&one, &other, "regular_low", 3).await;
    assert_eq!(
        state(&one, "regular_low").await.1,
        good.1,
        "with what was there before"
    );
    assert!(!web.exchanges().is_empty(), "a snapshot is a download");

    // And all goes on.
    other
        .client()
        .chat_actions()
        .pin_chat(&chats[1])
        .await
        .expect("pinned");
    pinned(&one, &chats[1], true).await;
    let index = ["pin_v1", &chats[1].to_string()];
    admin
        .until(&path(&phone), |all| setting(all, &index).is_some())
        .await;
    assert_eq!(admin.ok("GET", "/admin/stats", "").await["appStateRefused"], 1);
    one.stop().await;
    other.stop().await;
    sandbox.shutdown().await;
}
