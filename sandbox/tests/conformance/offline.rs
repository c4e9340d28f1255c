//! What waits for those who are away.

use wacore::types::presence::ReceiptType;

use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_finds_what_came_while_it_was_away() {
    const TEXTS: usize = 40;
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let (bob, b) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    alice.send(&b, "3EB00000000000D0", "while here").await;
    bob.text("while here").await;
    let backend = bob.stop().await;
    for n in 0..TEXTS {
        alice
            .send(&b, &format!("3EB0000000000D{n:02}"), &format!("away {n}"))
            .await;
    }
    let bob = TestClient::start(&sandbox.ws_url(), backend).await;
    for n in 0..TEXTS {
        bob.text(&format!("away {n}")).await;
    }
    assert_eq!(
        bob.texts("while here"),
        0,
        "what had a receipt does not come again"
    );
    // The queue empties by the receipts of what came.
    admin.until("/admin/stats", |stats| stats["queued"] == 0).await;
    alice.stop().await;
    bob.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_is_off_takes_its_messages_when_it_is_on_again() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    admin
        .ok("POST", &format!("/admin/phones/{other}/offline"), "")
        .await;
    client.send(&other, "3EB0000000000E01", "later").await;
    assert_eq!(client.acked("3EB0000000000E01").await, None);
    // The sender's own phone has taken its copy, so the other one, which is behind it, would have.
    admin.inbox(&own, 1).await;
    assert!(admin.inbox(&other, 0).await.is_empty());
    let body = format!(r#"{{"to": "{own}", "kind": "text", "text": "no"}}"#);
    let (status, _) = admin
        .call("POST", &format!("/admin/phones/{other}/send"), &body)
        .await;
    assert_eq!(status, 409);
    admin
        .ok("POST", &format!("/admin/phones/{other}/online"), "")
        .await;
    client.receipt("3EB0000000000E01", &ReceiptType::Delivered).await;
    assert_eq!(admin.inbox(&other, 1).await[0]["text"], "later");
    client.stop().await;
    sandbox.shutdown().await;
}
