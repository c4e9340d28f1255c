//! How long the references of QR codes last.

use std::time::{Duration, Instant};

use wacore::types::events::Event;

use crate::client::TestClient;
use crate::net::{Admin, DEADLINE, start, start_with};

fn reference(qr: &str) -> &str {
    qr.split(',').next().unwrap_or_default()
}

/// Waits for a QR code that is not `former` in the part that `of` picks.
async fn newer(client: &TestClient, former: &str, of: impl Fn(&str) -> &str) -> String {
    client
        .wait("newer QR code", |event| match event {
            Event::PairingQrCode(qr) => Some(qr.code.clone()).filter(|code| of(code) != of(former)),
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_references_have_run_out_the_stream_ends_and_a_new_one_has_others() {
    let sandbox = start_with(None, |config| {
        config.pairing.first_ref = Duration::from_secs(2);
        config.pairing.next_ref = Duration::from_millis(100);
        config.pairing.linger = Duration::ZERO;
    })
    .await;
    let admin = Admin(sandbox.addr());
    let client = TestClient::start(&sandbox.ws_url(), std::sync::Arc::default()).await;
    let first = client.qr().await;
    // The client itself would show it for a minute: a new one is the server's doing.
    newer(&client, &first, reference).await;
    let (status, _) = admin.call("POST", "/admin/mock-phone/scan-qr", &first).await;
    assert_eq!(status, 404);
    let begun = Instant::now();
    loop {
        let (status, error) = admin
            .call("POST", "/admin/mock-phone/scan-qr", &client.last_qr())
            .await;
        if status == 200 {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "no code could be scanned: {error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client.connected().await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_works_as_long_as_it_is_shown() {
    let sandbox = start_with(None, |config| {
        config.pairing.first_ref = Duration::from_millis(500);
        config.pairing.next_ref = Duration::from_secs(1);
        config.pairing.linger = Duration::from_mins(1);
    })
    .await;
    let admin = Admin(sandbox.addr());
    // A phone that is off tells whether a code is good, without using it up.
    let off = admin.phone().await;
    admin
        .ok("POST", &format!("/admin/phones/{off}/offline"), "")
        .await;
    let path = format!("/admin/mock-phone/scan-qr?phone={off}");
    let client = TestClient::start(&sandbox.ws_url(), std::sync::Arc::default()).await;
    let qr = client.qr().await;
    let begun = Instant::now();
    loop {
        let (status, _) = admin.call("POST", &path, &qr).await;
        if status == 404 {
            break;
        }
        assert_eq!(status, 409);
        assert!(begun.elapsed() < DEADLINE, "the first reference does not run out");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The connection goes on.
    assert_eq!(client.count(|event| matches!(event, Event::Disconnected(_))), 0);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_the_server_retires_is_replaced() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let client = TestClient::start(&sandbox.ws_url(), std::sync::Arc::default()).await;
    let former = client.qr().await;
    assert_eq!(sandbox.rotate_qr_codes(), 1);
    let rotated = newer(&client, &former, |qr| qr).await;
    assert_eq!(reference(&former), reference(&rotated), "the reference stays");
    let (status, error) = admin.call("POST", "/admin/mock-phone/scan-qr", &former).await;
    assert_eq!(status, 409, "{error}");
    admin.ok("POST", "/admin/mock-phone/scan-qr", &rotated).await;
    client.connected().await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_stanza_is_held_back() {
    const DELAY: Duration = Duration::from_millis(1500);
    let sandbox = start_with(None, |config| config.first_stanza_delay = DELAY).await;
    let begun = Instant::now();
    let client = TestClient::start(&sandbox.ws_url(), std::sync::Arc::default()).await;
    client.qr().await;
    assert!(begun.elapsed() >= DELAY);
    client.stop().await;
    sandbox.shutdown().await;
}
