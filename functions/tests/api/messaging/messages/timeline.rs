//! `GET /api/messages/{message}/timeline`.

use chrono::TimeDelta;
use serde_json::json;
use shared::clock::Clock;
use shared::domain::message::{Failure, FailureCode, State};
use shared::ids::MessageId;
use shared::storage::messages::Change;

use crate::support::World;

#[tokio::test]
async fn states_are_told_with_their_times_oldest_first() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let body = json!({"to": "15550100002", "text": "x"});
    let sent = key.send("text", body).await.data(202);
    let id: MessageId = sent["id"].as_str().expect("an id").parse().expect("an id");
    let path = format!("/api/messages/{id}/timeline");
    let queued = json!({"status": "queued", "at": "2026-01-01T00:00:00.000Z", "error": null});
    assert_eq!(
        key.get(&path).await.data(200),
        json!({"id": id, "timeline": [queued], "deliveries": []})
    );
    for (state, failure) in [
        (State::Sent, None),
        (
            State::Failed,
            Some(Failure::of(FailureCode::ReachoutRestricted).with_error(463)),
        ),
    ] {
        world.clock.advance(TimeDelta::seconds(1));
        let at = world.clock.now();
        let change = Change { state, at, failure };
        let changing = world.state.messages.change(instance, id, &change);
        changing.await.expect("stored");
    }
    let told = key.get(&path).await.data(200);
    assert_eq!(told["timeline"][0], queued);
    assert_eq!(
        told["timeline"][1],
        json!({"status": "sent", "at": "2026-01-01T00:00:01.000Z", "error": null})
    );
    let failed = &told["timeline"][2];
    assert_eq!(
        (&failed["status"], &failed["at"], &failed["error"]["code"]),
        (
            &json!("failed"),
            &json!("2026-01-01T00:00:02.000Z"),
            &json!("REACHOUT_RESTRICTED")
        )
    );
    assert_eq!(told["timeline"].as_array().map(Vec::len), Some(3));

    let other = world.instance(&user, "support").await;
    let other = world.key(&user, other, json!({})).await;
    assert_eq!(
        other.get(&path).await.error(),
        "404 NOT_FOUND: There is no such message"
    );
}
