//! Sessions that were lost are built anew, and what could not be read is sent again.

use wacore::store::traits::SignalStore as _;
use wacore::types::jid::JidExt as _;
use wacore_binary::Jid;

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
    admin.inbox(&own, 1).await;
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
    // The sender's own phone lost its sessions as well. It makes a new one and reads on from there: nothing tells when it has.
    let begun = std::time::Instant::now();
    let has = |inbox: &serde_json::Value, text: &str| {
        let mut shown = inbox.as_array().into_iter().flatten();
        shown.any(|entry| entry["text"] == text)
    };
    for number in 0.. {
        assert!(
            begun.elapsed() < crate::net::DEADLINE,
            "the own phone reads nothing"
        );
        let text = format!("third {number}");
        client
            .send(&other, &format!("3EB00000000013{number:02}"), &text)
            .await;
        let inbox = format!("/admin/phones/{other}/inbox");
        admin.until(&inbox, |inbox| has(inbox, &text)).await;
        let inbox = admin.ok("GET", &format!("/admin/phones/{own}/inbox"), "").await;
        if (0..=number).any(|number| has(&inbox, &format!("third {number}"))) {
            break;
        }
    }
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_without_its_sessions_asks_a_phone_again() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let send = |text: &str| {
        let body = format!(r#"{{"to": "{own}", "kind": "text", "text": "{text}"}}"#);
        let path = format!("/admin/phones/{other}/send");
        async move { admin.ok("POST", &path, &body).await }
    };
    send("first").await;
    client.text("first").await;
    client.send(&other, "3EB0000000001301", "answer").await;
    admin.inbox(&other, 1).await;
    let backend = client.stop().await;
    let phones = admin.ok("GET", "/admin/phones", "").await;
    let lid = phones
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["phone"] == other.as_str())
        .unwrap()["lid"]
        .clone();
    for jid in [Jid::pn(other.as_str()), Jid::lid(lid.as_str().unwrap())] {
        backend
            .delete_session(jid.to_protocol_address().as_str())
            .await
            .expect("the session goes");
    }
    send("second").await;
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.text("second").await;
    client.stop().await;
    sandbox.shutdown().await;
}
