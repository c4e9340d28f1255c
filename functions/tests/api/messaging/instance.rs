//! `GET /api/instance/info`.

use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn a_key_sees_the_instance_it_is_for() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let answer = key.get("/api/instance/info").await;
    let data = answer.data(200);
    assert_eq!(data["id"], json!(instance));
    assert_eq!(data["status"], json!("CONNECTED"));
    assert_eq!(data["phone"], json!("15550100001"));
    assert_eq!(answer.json()["meta"]["instanceName"], json!("sales"));
}
