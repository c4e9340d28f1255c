//! `/health` and `/ready`.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::World;

async fn get(address: &str, path: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    let status = answer[9..12].parse().expect("a status");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    (status, serde_json::from_str(body).expect("JSON"))
}

#[tokio::test]
async fn a_daemon_that_beats_is_ready_and_one_that_does_not_is_not() {
    let world = World::new().await;
    let feed = world.feed().await;
    assert_eq!(
        get(&feed.address, "/health").await,
        (200, json!({"status": "ok"}))
    );
    let (status, body) = get(&feed.address, "/ready").await;
    assert_eq!(
        (status, &body["checks"]["leases"]),
        (503, &json!(false)),
        "{body}"
    );
    let beats = world.feed_with("b", &world.table, |settings| settings).await;
    world.beats("b").await;
    let (status, body) = get(&beats.address, "/ready").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["status"], "ready");
    assert_eq!(body["realtime"]["socketsLimit"], json!(2_000));
}

#[tokio::test]
async fn several_daemons_without_redis_are_not_ready() {
    let world = World::new().await;
    let feed = world.feed().await;
    world.beats("a").await;
    world.beats("b").await;
    let (status, body) = get(&feed.address, "/ready").await;
    assert_eq!(
        (status, &body["checks"]["realtime"]),
        (503, &json!(false)),
        "{body}"
    );
    assert!(
        body["problems"][0]
            .as_str()
            .expect("a text")
            .contains("WAXWING_REDIS_URL")
    );
}
