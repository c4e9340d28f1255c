//! Bad input and scripted faults.

use std::time::Duration;

use bytes::Bytes;
use wacore::net::{TransportEvent, TransportFactory as _};
use wacore::types::events::Event;
use whatsapp_rust_tokio_transport::TokioWebSocketTransportFactory;

use crate::client::TestClient;
use crate::net::{Admin, DEADLINE, start, start_with};

/// Waits until the server has closed a connection.
async fn closed(events: &whatsapp_rust::async_channel::Receiver<TransportEvent>) {
    let closed = async {
        while let Ok(event) = events.recv().await {
            if matches!(event, TransportEvent::Disconnected(_)) {
                break;
            }
        }
    };
    tokio::time::timeout(DEADLINE, closed)
        .await
        .expect("the server closes the connection");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_ends_a_connection() {
    let sandbox = start_with(None, |config| {
        config.handshake_timeout = Duration::from_millis(100);
        config.idle_timeout = Duration::from_millis(300);
    })
    .await;
    // One that never begins its handshake.
    let factory = TokioWebSocketTransportFactory::new().with_url(sandbox.ws_url());
    let (_transport, events) = factory.create_transport().await.expect("it connects");
    closed(&events).await;
    // One that shows a QR code and says no more.
    let client = TestClient::start(&sandbox.ws_url(), std::sync::Arc::default()).await;
    client.qr().await;
    client
        .wait("disconnection", |event| {
            matches!(event, Event::Disconnected(_)).then_some(())
        })
        .await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rubbish_ends_its_own_connection_only() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let header = [b'W', b'A', 6, 3];
    for rubbish in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        [header.as_slice(), &[0xff, 0xff, 0xff]].concat(),
        [header.as_slice(), &[0, 0, 4, 1, 2, 3, 4]].concat(),
        [header.as_slice(), &[0, 0, 0]].concat(),
    ] {
        let factory = TokioWebSocketTransportFactory::new().with_url(sandbox.ws_url());
        let (transport, events) = factory.create_transport().await.expect("it connects");
        transport.send(Bytes::from(rubbish)).await.expect("it is sent");
        let closed = async {
            while let Ok(event) = events.recv().await {
                if matches!(event, TransportEvent::Disconnected(_)) {
                    break;
                }
            }
        };
        tokio::time::timeout(DEADLINE, closed)
            .await
            .expect("the server closes the connection");
    }
    let other = admin.phone().await;
    client.send(&other, "3EB0000000001001", "unhurt").await;
    assert_eq!(admin.inbox(&other, 1).await[0]["text"], "unhurt");
    assert_eq!(client.count(|event| matches!(event, Event::Disconnected(_))), 0);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_acks_do_not_hold_messages() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = admin.phone().await;
    let fault = format!(r#"{{"target": {{"phone": "{own}"}}, "fault": "hold-acks", "count": 1}}"#);
    admin.ok("POST", "/admin/faults", &fault).await;
    client.send(&other, "3EB0000000001101", "unacked").await;
    admin.inbox(&other, 1).await;
    client.send(&other, "3EB0000000001102", "acked").await;
    client.acked("3EB0000000001102").await;
    let held = client.count(|event| matches!(event, Event::ServerAck(ack) if ack.id == "3EB0000000001101"));
    assert_eq!(held, 0);
    assert_eq!(admin.ok("GET", "/admin/faults", "").await, serde_json::json!([]));
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_client_comes_back() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let dropped = admin
        .ok(
            "POST",
            "/admin/faults",
            r#"{"target": {"all": true}, "fault": "drop-socket"}"#,
        )
        .await;
    assert_eq!(dropped["clients"], 1);
    client
        .wait("disconnection", |event| {
            matches!(event, Event::Disconnected(_)).then_some(())
        })
        .await;
    admin.until("/admin/stats", |stats| stats["clients"] == 1).await;
    client
        .client()
        .wait_for_connected(DEADLINE)
        .await
        .expect("it is back");
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test]
async fn the_admin_api_names_what_is_wrong() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let phone = admin.phone().await;
    for (method, path, body, status) in [
        (
            "POST",
            "/admin/phones".to_owned(),
            r#"{"nam": "x"}"#.to_owned(),
            400,
        ),
        (
            "POST",
            "/admin/phones".to_owned(),
            r#"{"phone": "12"}"#.to_owned(),
            400,
        ),
        (
            "POST",
            "/admin/phones".to_owned(),
            format!(r#"{{"phone": "{phone}"}}"#),
            409,
        ),
        (
            "GET",
            "/admin/phones/155501999999/inbox".to_owned(),
            String::new(),
            404,
        ),
        (
            "GET",
            format!("/admin/phones/{phone}/inbox?befor=x"),
            String::new(),
            400,
        ),
        (
            "POST",
            format!("/admin/phones/{phone}/send"),
            r#"{"to": "155501999999", "kind": "text", "text": "x"}"#.into(),
            404,
        ),
        (
            "POST",
            format!("/admin/phones/{phone}/send"),
            r#"{"to": "1", "kind": "text", "text": "x", "txt": 1}"#.into(),
            400,
        ),
        (
            "POST",
            format!("/admin/phones/{phone}/read"),
            "{}".to_owned(),
            400,
        ),
        (
            "POST",
            "/admin/faults".to_owned(),
            r#"{"target": {}, "fault": "hold-acks"}"#.to_owned(),
            400,
        ),
        (
            "POST",
            "/admin/faults".to_owned(),
            r#"{"target": {"all": true}, "fault": "earthquake"}"#.to_owned(),
            400,
        ),
        ("GET", "/admin/nowhere".to_owned(), String::new(), 404),
        ("PUT", "/admin/phones".to_owned(), String::new(), 405),
    ] {
        let (got, error) = admin.call(method, &path, &body).await;
        assert_eq!(got, status, "{method} {path} {body}: {error}");
        assert!(
            error["error"]["code"].is_string() && error["error"]["message"].is_string(),
            "{error}"
        );
    }
    let (_, error) = admin.call("POST", "/admin/phones", r#"{"nam": "x"}"#).await;
    assert!(
        error["error"]["message"].as_str().unwrap().contains("nam"),
        "{error}"
    );
    sandbox.shutdown().await;
}
