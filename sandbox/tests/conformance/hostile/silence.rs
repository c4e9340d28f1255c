//! Clients that say nothing.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use wacore::types::events::Event;

use super::{Pair, ended};
use crate::client::TestClient;
use crate::net::{DEADLINE, start_with};
use crate::raw::Wire;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_ends_a_connection() {
    let sandbox = start_with(None, |config| {
        config.handshake_timeout = Duration::from_secs(2);
        config.idle_timeout = Duration::from_secs(5);
    })
    .await;
    // One that never begins its handshake.
    Wire::connect(&sandbox.ws_url()).await.closed().await;
    // One that begins it and stops half-way.
    let wire = Wire::connect(&sandbox.ws_url()).await;
    wire.send(vec![b'W', b'A', 6, 3, 0, 0]).await;
    wire.closed().await;
    ended(&sandbox, "silent", 2).await;
    // One that opens a socket and does not even ask for a WebSocket.
    let mut socket = tokio::net::TcpStream::connect(sandbox.addr())
        .await
        .expect("it connects");
    let end = tokio::time::timeout(DEADLINE, socket.read(&mut [0; 64])).await;
    assert_eq!(end.expect("it is closed").ok(), Some(0));
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
async fn those_who_never_finish_their_handshake_hurt_nobody() {
    let sandbox = start_with(None, |config| {
        config.handshake_timeout = Duration::from_secs(5);
    })
    .await;
    let mut pair = Pair::start(&sandbox).await;
    let mut idle = Vec::new();
    for _ in 0..30 {
        idle.push(Wire::connect(&sandbox.ws_url()).await);
        pair.talk().await;
    }
    for wire in &idle {
        wire.closed().await;
    }
    ended(&sandbox, "silent", 30).await;
    pair.unhurt().await;
    sandbox.shutdown().await;
}
