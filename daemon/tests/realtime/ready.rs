//! `/health`, `/ready` and `/metrics`.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::world::World;

/// The status, the head and the body of the answer to a request with these further lines in its head.
async fn ask(address: &str, path: &str, further: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{further}\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    let status = answer[9..12].parse().expect("a status");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    (status, head.to_ascii_lowercase(), body.to_owned())
}

async fn get(address: &str, path: &str) -> (u16, Value) {
    let (status, _, body) = ask(address, path, "").await;
    (status, serde_json::from_str(&body).expect("JSON"))
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

#[tokio::test]
async fn a_daemon_tells_its_metrics_as_prometheus_reads_them() {
    let world = World::new().await;
    let feed = world.feed().await;
    let (status, head, page) = ask(&feed.address, "/metrics", "").await;
    assert_eq!(status, 200, "{page}");
    assert!(
        head.contains("\r\ncontent-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let has = |page: &str, line: &str| page.lines().any(|found| found == line);
    for line in [
        "# TYPE waxwing_sends_total counter",
        "waxwing_shards 1",
        "waxwing_shards_held 0",
        "waxwing_realtime_sockets 0",
        "waxwing_realtime_sockets_limit 2000",
    ] {
        assert!(has(&page, line), "no {line:?} in\n{page}");
    }
    let ada = world.owner("ada@example.com").await;
    let _client = feed.follower(&ada.token).await;
    let (_, _, page) = ask(&feed.address, "/metrics", "").await;
    assert!(has(&page, "waxwing_realtime_sockets 1"), "{page}");
    for tenant in [
        ada.subscription.id.to_string(),
        ada.user.id.to_string(),
        ada.token.clone(),
    ] {
        assert!(!page.contains(&tenant), "it says whose socket that is");
    }
}

/// The load balancer of the realtime feed stands before the same port.
#[tokio::test]
async fn metrics_are_not_for_whoever_comes_through_a_proxy() {
    let world = World::new().await;
    let feed = world.feed().await;
    for passed_on in [
        "X-Forwarded-For: 198.51.100.1\r\n",
        "Forwarded: for=198.51.100.1\r\n",
    ] {
        let (status, _, body) = ask(&feed.address, "/metrics", passed_on).await;
        assert_eq!((status, body.as_str()), (404, ""), "{passed_on}");
    }
}
