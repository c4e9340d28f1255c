//! What a session begins with: dirty bits, routing data, the backlog's preview; and how it pauses.

use wacore::iq::dirty::DirtyType;
use wacore::types::events::Event;
use wacore::types::presence::ReceiptType;

use crate::client::TestClient;
use crate::net::{Admin, DEADLINE, start, start_with};

fn is_dirty(event: &Event) -> bool {
    matches!(event, Event::DirtyState(dirty) if dirty.dirty_type == DirtyType::AccountSync)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_meanwhile_is_dirty_until_it_is_cleaned() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, phone) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    assert_eq!(client.count(is_dirty), 0, "nothing has changed yet");
    let backend = client.stop().await;
    let (sibling, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&phone)).await;
    sibling.stop().await;
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client
        .wait("dirty bit", |event| is_dirty(event).then_some(()))
        .await;
    client.connected().await;
    let mut backend = client.stop().await;
    // The client may have been stopped before it could say that the bit is clean.
    let begun = std::time::Instant::now();
    loop {
        let client = TestClient::start(&sandbox.ws_url(), backend).await;
        client.connected().await;
        let dirty = client.count(is_dirty);
        backend = client.stop().await;
        if dirty == 0 {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "the bit stays dirty");
    }
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_sends_its_routing_data_back() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let routed = |stats: &serde_json::Value| stats["handshakes"]["routed"].as_u64();
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    assert_eq!(routed(&admin.ok("GET", "/admin/stats", "").await), Some(0));
    let backend = client.stop().await;
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.connected().await;
    assert_eq!(routed(&admin.ok("GET", "/admin/stats", "").await), Some(1));
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_preview_counts_the_backlog_by_kind() {
    const TEXTS: i32 = 12;
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    client.send(&other, "3EB0000000E00001", "read it later").await;
    client.receipt("3EB0000000E00001", &ReceiptType::Delivered).await;
    let backend = client.stop().await;
    admin
        .ok("POST", &format!("/admin/phones/{other}/read"), r#"{"all": true}"#)
        .await;
    for n in 0..TEXTS {
        let body = format!(r#"{{"to": "{own}", "kind": "text", "text": "away {n}"}}"#);
        admin
            .ok("POST", &format!("/admin/phones/{other}/send"), &body)
            .await;
    }
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    let preview = client.wait("preview", |event| match event {
        Event::OfflineSyncPreview(preview) => Some(preview.clone()),
        _ => None,
    });
    let preview = preview.await;
    assert_eq!(preview.messages, TEXTS);
    assert!(preview.receipts >= 1, "{preview:?}");
    assert_eq!(
        preview.total,
        preview.messages + preview.receipts + preview.notifications + preview.app_data_changes
    );
    client.text(&format!("away {}", TEXTS - 1)).await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passive_client_gets_nothing_until_it_is_active_again() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    client
        .client()
        .set_passive(true)
        .await
        .expect("the server answers");
    let body = format!(r#"{{"to": "{own}", "kind": "text", "text": "wake up"}}"#);
    admin
        .ok("POST", &format!("/admin/phones/{other}/send"), &body)
        .await;
    // The phone has it, and questions are still answered.
    admin.inbox(&own, 1).await;
    client
        .client()
        .contacts()
        .is_on_whatsapp(&[wacore_binary::Jid::pn(other.as_str())])
        .await
        .expect("an answer");
    assert_eq!(client.texts("wake up"), 0);
    client
        .client()
        .set_passive(false)
        .await
        .expect("the server answers");
    client.text("wake up").await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_can_be_named_without_their_device() {
    for bare in [false, true] {
        let sandbox = start_with(None, |config| config.bare_senders = bare).await;
        let admin = Admin(sandbox.addr());
        let (alice, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
        let (bob, number) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
        alice.send(&number, "3EB0000000E10001", "who am I").await;
        let device = bob.wait("text", |event| match event {
            Event::Messages(batch) => batch
                .messages
                .iter()
                .find(|one| one.message.conversation.as_deref() == Some("who am I"))
                .map(|one| one.info.source.sender.device),
            _ => None,
        });
        assert_eq!(device.await, u16::from(!bare));
        alice.receipt("3EB0000000E10001", &ReceiptType::Delivered).await;
        alice.stop().await;
        bob.stop().await;
        sandbox.shutdown().await;
    }
}

/// What the server owes is to bring every stanza until it is acknowledged. The library acknowledges some that it never
/// tells of: those that it had decrypted, and not yet told, when it stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_pulled_over_restarts_of_both_sides() {
    const TEXTS: usize = 60;
    let directory = tempfile::tempdir().expect("a directory");
    let mut sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let mut backend = client.stop().await;
    let mut ids = Vec::new();
    for n in 0..TEXTS {
        let body = format!(r#"{{"to": "{own}", "kind": "text", "text": "away {n}"}}"#);
        let sent = admin
            .ok("POST", &format!("/admin/phones/{other}/send"), &body)
            .await;
        ids.push(sent["id"].as_str().expect("an id").to_owned());
    }
    let mut logs = Vec::new();
    for session in 0..3 {
        let client = TestClient::start(&sandbox.ws_url(), backend).await;
        let raw = client.client().acquire_raw_node_forwarding();
        logs.push(client.log());
        if session == 0 {
            client.text("away 7").await;
        } else {
            client.connected().await;
        }
        if session == 2 {
            Admin(sandbox.addr())
                .until("/admin/stats", |stats| stats["queued"] == 0)
                .await;
        }
        backend = client.stop().await;
        drop(raw);
        sandbox.shutdown().await;
        sandbox = start(Some(directory.path())).await;
    }
    sandbox.shutdown().await;
    let missing = || {
        ids.iter()
            .filter(|id| !logs.iter().any(|log| log.has_stanza(id)))
            .count()
    };
    let all = async {
        while missing() > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let all = tokio::time::timeout(DEADLINE, all).await;
    assert!(all.is_ok(), "{} of {TEXTS} never came", missing());
}
