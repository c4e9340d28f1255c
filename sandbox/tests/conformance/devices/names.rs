//! What the push name of a registration chooses and switches.

use std::sync::Arc;

use serde_json::json;

use crate::client::TestClient;
use crate::net::{Admin, start};

/// A client of that push name, scanned without a word of which phone is to do it.
async fn named(url: &str, admin: Admin, name: &str) -> (TestClient, serde_json::Value) {
    let client = TestClient::start_named(url, Arc::default(), Some(name)).await;
    let scanned = admin
        .ok("POST", "/admin/mock-phone/scan-qr", &client.qr().await)
        .await;
    client.connected().await;
    (client, scanned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_name_is_the_same_phone_and_its_next_device() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    // A phone that is free is left to clients without a name.
    let free = admin.phone().await;
    let (first, ada) = named(&sandbox.ws_url(), admin, "Ada").await;
    let (second, again) = named(&sandbox.ws_url(), admin, "Ada").await;
    let (third, bob) = named(&sandbox.ws_url(), admin, "Bob").await;
    assert_eq!(
        (ada["name"].as_str(), ada["device"].as_u64()),
        (Some("Ada"), Some(1))
    );
    assert_eq!(
        (&again["phone"], again["device"].as_u64()),
        (&ada["phone"], Some(2))
    );
    assert_ne!(bob["phone"], ada["phone"]);
    let (fourth, number) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    assert_eq!(number, free);
    for client in [first, second, third, fourth] {
        client.stop().await;
    }
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restricted_account_may_answer_but_not_begin() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = named(&sandbox.ws_url(), admin, "restricted:Ada").await;
    let own = own["phone"].as_str().expect("a number");
    let other = admin.phone().await;
    client.send(&other, "3EB0000000D00001", "unasked").await;
    assert_eq!(client.acked("3EB0000000D00001").await.as_deref(), Some("463"));
    let body = format!(r#"{{"to": "{own}", "kind": "text", "text": "write to me"}}"#);
    admin
        .ok("POST", &format!("/admin/phones/{other}/send"), &body)
        .await;
    client.text("write to me").await;
    client.send(&other, "3EB0000000D00002", "an answer").await;
    assert_eq!(client.acked("3EB0000000D00002").await, None);
    let inbox = admin.inbox(&other, 1).await;
    assert_eq!(inbox[0]["text"], "an answer");
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switches_are_kept_and_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let name = "scenario:nct_send_ab=1,tc_enabled=0,unheard_of=1:Ada";
    let (client, _) = named(&sandbox.ws_url(), admin, name).await;
    client.stop().await;
    sandbox.shutdown().await;
    let sandbox = start(Some(directory.path())).await;
    let phones = Admin(sandbox.addr()).ok("GET", "/admin/phones", "").await;
    assert_eq!(
        phones[0]["switches"],
        json!({"nct_send_ab": true, "tc_enabled": false})
    );
    assert_eq!(phones[0]["refused"], serde_json::Value::Null);
    sandbox.shutdown().await;
}
