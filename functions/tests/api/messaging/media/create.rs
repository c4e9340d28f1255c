//! `POST /api/media`.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::clock::Clock as _;
use shared::domain::upload::{MAX_UPLOAD, MAX_UPLOADED_A_DAY, MAX_UPLOADS_A_DAY};
use shared::ids::MediaId;
use shared::seal::Purpose;
use shared::storage::keys;

use super::photo;
use crate::support::World;

/// The members of a URL's query.
fn query(url: &Value) -> Vec<(String, String)> {
    let (_, query) = url.as_str().expect("a text").split_once('?').expect("a query");
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[tokio::test]
async fn a_file_gets_an_id_and_a_signed_request_that_puts_it() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let made = key.post("/api/media", photo()).await.data(201);
    let id: MediaId = made["id"].as_str().expect("a text").parse().expect("an id");
    assert_eq!(made["method"], "PUT");
    assert_eq!(
        made["headers"],
        json!({"content-type": "image/jpeg", "content-length": "5"})
    );
    let expires = (world.clock.now() + TimeDelta::minutes(15)).timestamp();
    let told: chrono::DateTime<chrono::Utc> = made["expiresAt"]
        .as_str()
        .expect("a time")
        .parse()
        .expect("a time");
    assert_eq!(told.timestamp(), expires);
    let url = made["uploadUrl"].as_str().expect("a text");
    assert!(
        url.starts_with("http://waxwing.example/api/media/content?"),
        "{url}"
    );
    let query = query(&made["uploadUrl"]);
    let value = |name: &str| {
        let found = query.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    assert_eq!(value("object"), format!("outgoing%2Fupload%2F{instance}%2F{id}"));
    assert_eq!(value("size"), "5");
    assert_eq!(value("type"), "image%2Fjpeg");
    assert_eq!(value("expires"), expires.to_string());
    assert_eq!(value("signature").len(), 64);
}

#[tokio::test]
async fn what_a_file_is_called_rests_sealed_and_goes_after_a_day() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let file = json!({"fileName": "MARKER.pdf", "mimeType": "application/x-marker", "size": 5});
    let made = key.post("/api/media", file).await.data(201);
    let id: MediaId = made["id"].as_str().expect("a text").parse().expect("an id");
    let key_of_item = keys::media(instance, id);
    let item = world.item(&key_of_item).await.expect("there");
    assert!(!format!("{item:?}").to_lowercase().contains("marker"), "{item:?}");
    let day = (world.clock.now() + TimeDelta::hours(24)).timestamp();
    assert_eq!(item["exp"].as_n().expect("a number"), &day.to_string());
    let sealed = item["sealed"].as_b().expect("bytes").as_ref();
    let aad = key_of_item.path();
    let opened = world
        .sealer()
        .open(instance, Purpose::Content, aad.as_bytes(), sealed)
        .await;
    let opened: Value = serde_json::from_slice(&opened.expect("opened")).expect("JSON");
    assert_eq!(
        opened,
        json!({"fileName": "MARKER.pdf", "mimeType": "application/x-marker"})
    );
}

#[tokio::test]
async fn a_repeated_request_has_the_same_id_and_another_one_is_refused() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let keyed = key.with_header("idempotency-key", "upload-1");
    let first = keyed.post("/api/media", photo()).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = keyed.post("/api/media", photo()).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.data(201)["id"], again.data(201)["id"]);
    let other = json!({"fileName": "photo.jpg", "mimeType": "image/jpeg", "size": 6});
    assert_eq!(
        keyed.post("/api/media", other).await.code(),
        "409 IDEMPOTENCY_CONFLICT"
    );
    let without = key.post("/api/media", photo()).await.data(201);
    assert_ne!(without["id"], first.data(201)["id"]);
}

#[tokio::test]
async fn a_file_is_announced_as_it_can_be() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    for (member, value) in [
        ("fileName", json!("")),
        ("fileName", json!("../photo.jpg")),
        ("fileName", json!("a\nb")),
        ("fileName", json!("x".repeat(256))),
        ("fileName", json!(null)),
        ("mimeType", json!("image")),
        ("mimeType", json!("image/jpeg\r\nx-evil: 1")),
        ("size", json!(0)),
        ("size", json!(-1)),
        ("size", json!(1.5)),
        ("size", json!(268_435_457)),
        ("size", json!(2_147_483_648_u64)),
        ("size", json!("5")),
        ("caption", json!("typo")),
    ] {
        let mut file = photo();
        file[member] = value;
        let answer = key.post("/api/media", file.clone()).await;
        assert_eq!(answer.status, 400, "{file}: {}", answer.json());
        assert_eq!(answer.bad_fields()[0], member, "{file}");
    }
    let mut largest = photo();
    largest["size"] = json!(268_435_456);
    key.post("/api/media", largest).await.data(201);
}

#[tokio::test]
async fn an_instance_announces_so_much_in_a_day() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let mut largest = photo();
    largest["size"] = json!(MAX_UPLOAD);
    let keyed = key.with_header("idempotency-key", "upload-1");
    let first = keyed.post("/api/media", largest.clone()).await.data(201);
    for _ in 1..MAX_UPLOADED_A_DAY / MAX_UPLOAD {
        key.post("/api/media", largest.clone()).await.data(201);
    }
    let refused = key.post("/api/media", photo()).await;
    assert_eq!(
        refused.error(),
        "429 RATE_LIMITED: The instance has announced as many files today as it may: 1000, and 8589934592 bytes together. \
         The day renews at midnight (UTC)"
    );
    let now = world.clock.now();
    let midnight = (now.date_naive() + chrono::Days::new(1)).and_time(chrono::NaiveTime::MIN);
    let wait = (midnight.and_utc() - now).num_seconds().to_string();
    assert_eq!(refused.header("retry-after"), wait);
    // A repetition counts for nothing, nor does one under a key that was refused take the key.
    assert_eq!(
        keyed.post("/api/media", largest.clone()).await.data(201)["id"],
        first["id"]
    );
    let keyed = key.with_header("idempotency-key", "upload-2");
    assert_eq!(keyed.post("/api/media", photo()).await.code(), "429 RATE_LIMITED");
    let other = world.instance(&user, "support").await;
    world.daemon.pair(other).await;
    let others = world.key(&user, other, json!({})).await;
    others.post("/api/media", photo()).await.data(201);
    world.clock.advance(TimeDelta::days(1));
    keyed.post("/api/media", photo()).await.data(201);
    // By their number, too.
    let counters = &world.state.counters;
    let mut counted = 1;
    while counters
        .count_upload(instance, 1, world.clock.now())
        .await
        .expect("counted")
    {
        counted += 1;
    }
    assert_eq!(counted, MAX_UPLOADS_A_DAY);
}
