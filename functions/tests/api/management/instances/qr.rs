//! `GET /api/instances/{instance}/qr`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use serde_json::json;
use shared::domain::instance::Status;

use crate::support::World;

const CODE: &str = "2@6Yw0,identity,noise,secret,1";

#[tokio::test]
async fn the_code_comes_as_json_and_as_a_picture() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    world.daemon.lives().await;
    world.daemon.show_qr(instance, CODE, 2).await;
    let path = "/api/instances/sales/qr";
    let data = user.get(path).await.data(200);
    assert_eq!(data["code"], json!(CODE));
    assert_eq!(data["attempt"], json!(2));
    assert_eq!(data["maxAttempts"], json!(3));
    assert_eq!(data["expiresAt"], json!("2026-01-01T00:00:20.000Z"));
    let image = data["image"].as_str().expect("a data URL");
    let image = image.strip_prefix("data:image/png;base64,").expect("a PNG");
    let image = STANDARD.decode(image).expect("base64");

    let picture = async |accept: &str| user.with_header("accept", accept).get(path).await;
    let png = picture("image/png").await;
    assert_eq!(png.header("content-type"), "image/png");
    assert!(png.header("x-request-id").starts_with("req_"));
    assert_eq!(png.header("cache-control"), "no-store");
    assert!(png.bytes.starts_with(b"\x89PNG"));
    assert_eq!(png.bytes, image);
    let svg = picture("image/svg+xml").await;
    assert_eq!(svg.header("content-type"), "image/svg+xml");
    assert!(String::from_utf8_lossy(&svg.bytes).contains("<svg"));
}

#[tokio::test]
async fn without_a_code_to_scan_the_state_is_told_and_what_to_do() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let told = async || {
        let answer = user.get("/api/instances/sales/qr").await;
        let status = answer.json()["error"]["details"]["status"].clone();
        let status = status.as_str().expect("a status");
        let said = format!("409 CONFLICT: There is no QR code to scan: the instance is {status}. ");
        let error = answer.error();
        let advice = error.strip_prefix(&*said).unwrap_or_else(|| panic!("{error}"));
        format!("{status}: {advice}")
    };
    let away = "RECONNECTING: Its daemon is away or changes: ask again in ten seconds, and where that goes on, `GET …/status` \
                tells why";
    assert_eq!(
        told().await,
        "DISCONNECTED: `POST …/connect` makes one: ask for it two seconds later"
    );
    // Nobody would see the scan of a code whose daemon is gone.
    world.daemon.show_qr(instance, CODE, 1).await;
    assert_eq!(told().await, away);
    world.clock.advance(TimeDelta::seconds(20));
    world.daemon.lives().await;
    assert_eq!(
        told().await,
        "AWAITING_QR: The next one comes in a moment: ask again in two seconds"
    );
    // Nor that of one whose daemon has lost the shard, though its next owner lives.
    world.daemon.show_qr(instance, CODE, 1).await;
    world.daemon.takes_over().await;
    assert_eq!(told().await, away);
}

#[tokio::test]
async fn an_instance_that_is_paired_needs_no_code() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let none = "409 CONFLICT: There is no QR code to scan: the instance is ";
    let path = "/api/instances/sales/qr";
    assert_eq!(
        user.get(path).await.error(),
        format!("{none}CONNECTED. It is paired, and needs none")
    );
    world.daemon.observe(instance, Status::Disconnected).await;
    assert_eq!(
        user.get(path).await.error(),
        format!(
            "{none}DISCONNECTED. It is paired, and needs none: `GET …/status` tells how its connection is"
        )
    );
}
