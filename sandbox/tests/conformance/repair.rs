//! Sessions that were lost are built anew, and what could not be read is sent again.

use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_without_its_sessions_asks_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    client.send(&other, "3EB0000000001201", "first").await;
    admin.inbox(&other, 1).await;
    // An answer makes the client's session an established one: what follows cannot build one by itself.
    let body = format!(r#"{{"to": "{own}", "kind": "text", "text": "answer"}}"#);
    admin
        .ok("POST", &format!("/admin/phones/{other}/send"), &body)
        .await;
    client.text("answer").await;
    let backend = client.stop().await;
    sandbox.shutdown().await;

    let state =
        rusqlite::Connection::open(directory.path().join("sandbox.sqlite3")).expect("the state opens");
    assert!(
        state
            .execute("DELETE FROM sessions", [])
            .expect("the sessions go")
            > 0
    );
    state.close().expect("the state closes");

    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.connected().await;
    client.send(&other, "3EB0000000001202", "second").await;
    let inbox = admin.inbox(&other, 2).await;
    assert_eq!(
        (inbox[1]["text"].as_str(), inbox[1]["copies"].as_u64()),
        (Some("second"), Some(1))
    );
    // The sender's own phone lost its sessions as well and asked too.
    assert_eq!(admin.inbox(&own, 3).await.len(), 3);
    client.stop().await;
    sandbox.shutdown().await;
}
