//! `GET /api/instances/{instance}/messages`.

use serde_json::{Value, json};

use crate::support::World;

#[tokio::test]
async fn the_log_tells_what_became_of_messages_and_not_what_they_say() {
    let world = World::new().await;
    let (user, _, key) = world.ready().await;
    let mut sent = Vec::new();
    for n in 0..3 {
        let body = json!({"to": "15550100002", "text": format!("secret {n}"), "reference": "order"});
        let data = key.send("text", body).await.data(202);
        sent.push(data["id"].clone());
        world.clock.advance(chrono::TimeDelta::seconds(1));
    }
    let path = "/api/instances/sales/messages";
    let answer = user.get(&format!("{path}?limit=2")).await;
    let first = answer.data(200);
    assert_eq!(
        first[1],
        json!({
            "id": sent[1],
            "direction": "outgoing",
            "kind": "text",
            "status": "queued",
            "error": null,
            "createdAt": "2026-01-01T00:00:01.000Z",
            "receivedAt": null,
            "updatedAt": "2026-01-01T00:00:01.000Z",
            "sentAt": null,
            "deliveredAt": null,
            "readAt": null,
        })
    );
    let cursor = answer.json()["meta"]["pagination"]["nextCursor"].clone();
    let next = format!("{path}?limit=2&cursor={}", cursor.as_str().expect("more"));
    let answer = user.get(&next).await;
    let second = answer.data(200);
    let ids = |page: &Value| -> Vec<Value> {
        let entries = page.as_array().expect("a list").iter();
        entries.map(|entry| entry["id"].clone()).collect()
    };
    sent.reverse();
    assert_eq!([ids(&first), ids(&second)].concat(), sent);
    assert_eq!(answer.json()["meta"]["pagination"]["nextCursor"], Value::Null);
}
