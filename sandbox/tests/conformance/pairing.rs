//! Linking, logging in, unlinking.

use wacore::types::events::Event;

use crate::client::TestClient;
use crate::net::{Admin, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_pairs_by_qr_and_logs_in_again_with_ik() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, phone) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    assert_eq!(phone, "155501000001");
    let phones = admin.ok("GET", "/admin/phones", "").await;
    let companion = &phones[0]["companions"][0];
    assert_eq!(
        (companion["device"].as_u64(), companion["connected"].as_bool()),
        (Some(1), Some(true))
    );

    let backend = client.stop().await;
    let before = admin.ok("GET", "/admin/stats", "").await["handshakes"].clone();
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.connected().await;
    let after = admin.ok("GET", "/admin/stats", "").await["handshakes"].clone();
    assert_eq!(
        after["ik"].as_u64(),
        before["ik"].as_u64().map(|ik| ik + 1),
        "{before} {after}"
    );
    assert_eq!(after["fallbacks"], 0);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_named_phone_links_two_devices_and_unlinks_one() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (first, phone) = TestClient::paired(&sandbox.ws_url(), admin, Some("155501000077")).await;
    let (second, same) = TestClient::paired(&sandbox.ws_url(), admin, Some("155501000077")).await;
    assert_eq!(phone, same);

    admin
        .ok(
            "POST",
            &format!("/admin/phones/{phone}/unlink"),
            r#"{"device": 1}"#,
        )
        .await;
    first
        .wait("logout", |event| {
            matches!(event, Event::LoggedOut(_)).then_some(())
        })
        .await;
    let phones = admin.ok("GET", "/admin/phones", "").await;
    let companions = phones[0]["companions"].as_array().expect("companions");
    assert_eq!(companions.len(), 1);
    assert_eq!(
        (
            companions[0]["device"].as_u64(),
            companions[0]["connected"].as_bool()
        ),
        (Some(2), Some(true))
    );

    // The unlinked device is refused when it comes back.
    let backend = first.stop().await;
    let first = TestClient::start(&sandbox.ws_url(), backend).await;
    let on_connect = first.wait("logout", |event| match event {
        Event::LoggedOut(logout) => Some(logout.on_connect),
        _ => None,
    });
    assert!(on_connect.await);
    first.stop().await;
    second.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_logs_out_is_unlinked() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    client.client().logout().await;
    let none = |phones: &serde_json::Value| phones[0]["companions"].as_array().is_some_and(Vec::is_empty);
    admin.until("/admin/phones", none).await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_qr_code_works_once() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (status, error) = admin.call("POST", "/admin/mock-phone/scan-qr", "no code").await;
    assert_eq!(
        (status, error["error"]["code"].as_str()),
        (400, Some("VALIDATION_ERROR"))
    );

    let client = TestClient::start(&sandbox.ws_url(), std::sync::Arc::default()).await;
    let qr = client.qr().await;
    // A phone that cannot scan it does not spoil it.
    let off = admin.phone().await;
    admin
        .ok("POST", &format!("/admin/phones/{off}/offline"), "")
        .await;
    let (status, _) = admin
        .call("POST", &format!("/admin/mock-phone/scan-qr?phone={off}"), &qr)
        .await;
    assert_eq!(status, 409);
    admin
        .ok("POST", "/admin/mock-phone/scan-qr?phone=155501000055", &qr)
        .await;
    client.connected().await;
    let (status, error) = admin.call("POST", "/admin/mock-phone/scan-qr", &qr).await;
    assert_eq!(
        (status, error["error"]["code"].as_str()),
        (404, Some("NOT_FOUND"))
    );
    client.stop().await;
    sandbox.shutdown().await;
}
