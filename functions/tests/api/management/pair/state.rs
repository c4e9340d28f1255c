//! What the pairing page asks: how pairing is, QR codes, a code to type.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::domain::audit::{Action, Actor};
use shared::domain::instance::{Status, Wanted};

use super::link;
use crate::management::people::audited;
use crate::support::{User, World};

const PHONE: &str = "15550100001";

/// A deployment that waits for its daemon no longer than to look once, an instance, and the page of a link for it.
async fn with_a_page() -> (World, User, shared::ids::InstanceId, String) {
    let world = World::with(|mut config| {
        config.management.daemon_answer = Duration::ZERO;
        config
    })
    .await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let page = link(&user, "sales").await;
    (world, user, instance, page)
}

async fn state(world: &World, page: &str) -> Value {
    world.nobody.get(&format!("{page}/state")).await.data(200)
}

#[tokio::test]
async fn the_state_tells_all_that_there_is_to_show() {
    let (world, _, instance, page) = with_a_page().await;
    let at_rest = json!({
        "link": "open",
        "linkExpiresAt": "2026-01-01T00:30:00.000Z",
        "instance": "sales",
        "network": "sandbox",
        "status": "DISCONNECTED",
        "reason": null,
        "qr": null,
        "code": null,
        "passkey": null,
    });
    assert_eq!(state(&world, &page).await, at_rest);

    let answer = world.nobody.post(&format!("{page}/connect"), ()).await.data(202);
    assert_eq!(answer["status"], json!("CONNECTING"));
    assert_eq!(world.stored(instance).await.desired.wanted, Wanted::Connected);
    world.daemon.lives().await;
    world.daemon.show_qr(instance, "2@a,b,c,d,e", 2).await;
    let shown = state(&world, &page).await;
    assert_eq!(
        (&shown["status"], &shown["code"]),
        (&json!("AWAITING_QR"), &json!(null))
    );
    let qr = &shown["qr"];
    assert_eq!(
        (&qr["attempt"], &qr["maxAttempts"], &qr["expiresAt"]),
        (&json!(2), &json!(3), &json!("2026-01-01T00:00:20.000Z"))
    );
    let image = qr["image"].as_str().expect("a data URL");
    let image = image.strip_prefix("data:image/svg+xml;base64,").expect("an SVG");
    let svg = STANDARD.decode(image).expect("base64");
    assert!(svg.starts_with(b"<svg ") && svg.len() < 12_000, "{}", svg.len());

    let ended = (Status::ForceDisconnected, "QR_NOT_SCANNED");
    world.daemon.end(instance, ended.0, ended.1).await;
    let over = state(&world, &page).await;
    assert_eq!(
        (&over["status"], &over["reason"], &over["qr"]),
        (
            &json!("FORCE_DISCONNECTED"),
            &json!("QR_NOT_SCANNED"),
            &json!(null)
        )
    );
}

#[tokio::test]
async fn a_code_is_asked_for_in_its_makers_name_and_shown_to_who_looks() {
    let (world, user, instance, page) = with_a_page().await;
    let ask = async || {
        let path = format!("{page}/code");
        world
            .nobody
            .post(&path, json!({"phone": format!("+{PHONE}")}))
            .await
    };
    assert_eq!(ask().await.code(), "504 UPSTREAM_TIMEOUT");
    let wanted = world.stored(instance).await.desired;
    assert_eq!(wanted.pairing.expect("a wish").phone.as_str(), PHONE);
    world.daemon.show_pairing_code(instance, "ABCD1234").await;
    let code = json!({"code": "ABCD1234", "expiresAt": "2026-01-01T00:03:00.000Z"});
    assert_eq!(ask().await.data(200), code);
    let shown = state(&world, &page).await;
    assert_eq!(
        (&shown["status"], &shown["code"]),
        (&json!("AWAITING_PAIRING_CODE"), &code)
    );
    // A code of a daemon that is gone leads nowhere.
    world.clock.advance(TimeDelta::seconds(10));
    assert_eq!(state(&world, &page).await["code"], json!(null));

    for action in [Action::PairingCodeRequested, Action::InstanceConnect] {
        world.nobody.post(&format!("{page}/connect"), ()).await.data(202);
        let entry = audited(&world, action).await.remove(0);
        assert_eq!(entry.actor, Actor::Anonymous);
        assert_eq!(entry.subscription.expect("one").to_string(), user.subscription);
        assert_eq!(entry.target, Some(instance.to_string()));
        assert_eq!(entry.details["by"], "pairing link");
    }
    let wrong = world
        .nobody
        .post(&format!("{page}/code"), json!({"phone": "0155"}))
        .await;
    assert_eq!(wrong.code(), "400 VALIDATION_ERROR");
}

#[tokio::test]
async fn a_link_uses_up_nothing_of_its_makers_own_rate() {
    let (world, user, _, page) = with_a_page().await;
    let by_link = async |n: u32| {
        let body = json!({"phone": format!("155501000{n:02}")});
        world.nobody.post(&format!("{page}/code"), body).await.status
    };
    for n in 0..19 {
        assert_eq!(by_link(n).await, 504);
    }
    assert_eq!(
        world.nobody.post(&format!("{page}/connect"), ()).await.status,
        202
    );
    assert_eq!(by_link(20).await, 429);
    let connect = world.nobody.post(&format!("{page}/connect"), ()).await;
    assert_eq!(connect.code(), "429 RATE_LIMITED");
    let own = user.post("/api/instances/sales/pairing-code", json!({"phone": PHONE}));
    assert_eq!(own.await.status, 504);
}

#[tokio::test]
async fn an_address_may_look_as_often_as_twenty_pages_do() {
    let (world, _, _, page) = with_a_page().await;
    let path = format!("{page}/state");
    let answer = world.nobody.get(&path).await;
    assert_eq!(answer.header("x-ratelimit-limit"), "600");
    for _ in 1..600 {
        assert_eq!(world.nobody.get(&path).await.status, 200);
    }
    let refused = world.nobody.get(&path).await;
    assert_eq!(refused.code(), "429 RATE_LIMITED");
    assert!(!refused.header("retry-after").is_empty());
    // Tokens that lead nowhere are counted like those that do.
    assert_eq!(world.nobody.get("/pair/x/state").await.code(), "429 RATE_LIMITED");
    assert_eq!(
        world.nobody.get(&page).await.status,
        200,
        "the page itself says so"
    );
    let elsewhere = world.nobody.from_address("198.51.100.7");
    assert_eq!(elsewhere.get(&path).await.status, 200);
}
