//! Clients that send too much, or take too little.

use std::time::Duration;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{Pair, ended};
use crate::client::TestClient;
use crate::net::{Admin, start_with};
use crate::raw::{RawClient, Wire};

fn ping(id: String) -> Node {
    NodeBuilder::new("iq")
        .attr("id", id)
        .attr("type", "get")
        .attr("xmlns", "w:p")
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_stanzas_is_cut_off() {
    let sandbox = start_with(None, |config| config.limits.frames_per_second = 200).await;
    let mut pair = Pair::start(&sandbox).await;
    let mut client = RawClient::stranger(&sandbox.ws_url()).await;
    // All in one WebSocket message, so that the burst comes at once.
    let mut burst = Vec::new();
    for n in 0..2_000 {
        burst.extend(client.sealed(&wacore_binary::marshal(&ping(n.to_string())).expect("it encodes")));
    }
    client.send_unsealed(burst).await;
    client.closed().await;
    ended(&sandbox, "flood", 1).await;
    pair.talk().await;
    pair.unhurt().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_cut_off() {
    let sandbox = start_with(None, |config| {
        config.limits.write_timeout = Duration::from_millis(300);
    })
    .await;
    let mut pair = Pair::start(&sandbox).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let backend = client.stop().await;
    let mut raw = RawClient::login(&sandbox.ws_url(), &backend).await;
    // The answer to a ping repeats its id; nobody takes these answers out of the sockets' buffers.
    let id = "x".repeat(60_000);
    let stalled = async {
        for n in 0.. {
            raw.send(&ping(format!("{n}{id}"))).await;
            let stats = admin.ok("GET", "/admin/stats", "").await;
            if stats["closed"]["stalled"] == 1 {
                break;
            }
        }
    };
    tokio::time::timeout(crate::net::DEADLINE, stalled)
        .await
        .expect("the server gives the client up");
    pair.talk().await;
    pair.unhurt().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_never_shakes_hands_is_turned_away() {
    let sandbox = start_with(None, |config| {
        config.limits.handshakes = 20;
        config.handshake_timeout = Duration::from_mins(5);
    })
    .await;
    let pair = Pair::start(&sandbox).await;
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(Wire::connect(&sandbox.ws_url()).await);
    }
    // The next is refused before its handshake; those who are in stay in.
    let refused = http_upgrade(sandbox.addr()).await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    pair.unhurt().await;
    for wire in crowd {
        wire.disconnect().await;
    }
    ended(&sandbox, "closed", 20).await;
    let welcome = http_upgrade(sandbox.addr()).await;
    assert!(welcome.starts_with("HTTP/1.1 101"), "{welcome}");
    sandbox.shutdown().await;
}

/// The first line that the server answers to a WebSocket's request.
async fn http_upgrade(addr: std::net::SocketAddr) -> String {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    let mut stream = tokio::net::TcpStream::connect(addr)
        .await
        .expect("the port answers");
    let request = "GET /ws/chat HTTP/1.1\r\nHost: sandbox\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    let mut line = String::new();
    tokio::time::timeout(crate::net::DEADLINE, BufReader::new(stream).read_line(&mut line))
        .await
        .expect("an answer in time")
        .expect("an answer");
    line
}
