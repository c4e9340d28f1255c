//! `GET /api/instances/{instance}/status`.

use chrono::TimeDelta;
use serde_json::json;
use shared::domain::instance::Status;

use crate::support::World;

#[tokio::test]
async fn connected_means_that_a_daemon_lives_and_vouches_for_it() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let path = format!("/api/instances/{instance}/status");
    let data = user.get(&path).await.data(200);
    assert_eq!(
        data,
        json!({
            "status": "CONNECTED",
            "since": "2026-01-01T00:00:00.000Z",
            "reason": null,
            "phone": "15550100001",
            "lid": "100000012345678",
            "displayName": "Sales",
            "lastRoundTripAt": "2026-01-01T00:00:00.000Z",
            "lastError": null,
            "qrAttempt": null,
        })
    );
    world.clock.advance(TimeDelta::seconds(10));
    let data = user.get(&path).await.data(200);
    assert_eq!(data["status"], json!("RECONNECTING"));
    assert_eq!(data["reason"], json!("NO_DAEMON"));
    let info = key.get("/api/instance/info").await.data(200);
    assert_eq!(info["status"], json!("RECONNECTING"));
    let list = user.get("/api/instances").await.data(200);
    assert_eq!(list[0]["status"], json!("RECONNECTING"));
    world.daemon.lives().await;
    let data = user.get(&path).await.data(200);
    assert_eq!(data["status"], json!("CONNECTED"));
    assert_eq!(data["lastRoundTripAt"], json!("2026-01-01T00:00:10.000Z"));
}

#[tokio::test]
async fn a_status_of_an_earlier_life_is_nobodys_word() {
    let world = World::new().await;
    let (user, _, key) = world.ready().await;
    let path = "/api/instances/sales/status";
    world.daemon.takes_over().await;
    let data = user.get(path).await.data(200);
    assert_eq!(
        (&data["status"], &data["reason"]),
        (&json!("RECONNECTING"), &json!(null))
    );
    let info = key.get("/api/instance/info").await.data(200);
    assert_eq!(info["status"], json!("RECONNECTING"));
}

#[tokio::test]
async fn a_logout_is_pending_until_the_phone_has_been_told() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let answer = user.post("/api/instances/sales/logout", ());
    let data = answer.await.data(202);
    let pending = (json!("RECONNECTING"), json!("LOGOUT_PENDING"));
    assert_eq!((data["status"].clone(), data["reason"].clone()), pending);
    // Whether a daemon lives or not.
    world.clock.advance(TimeDelta::minutes(1));
    let data = user.get("/api/instances/sales/status").await.data(200);
    assert_eq!((data["status"].clone(), data["reason"].clone()), pending);
    let instances = &world.state.instances;
    let forgotten = instances.set_account(instance, 1, None).await;
    forgotten.expect("stored");
    world
        .daemon
        .end(instance, Status::LoggedOut, "LOGOUT_REQUESTED")
        .await;
    let data = user.get("/api/instances/sales/status").await.data(200);
    assert_eq!(data["status"], json!("LOGGED_OUT"));
    assert_eq!(data["reason"], json!("LOGOUT_REQUESTED"));
}
