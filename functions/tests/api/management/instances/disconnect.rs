//! `POST /api/instances/{instance}/disconnect`.

use serde_json::json;
use shared::domain::audit::Action;
use shared::domain::instance::{Status, Wanted};
use shared::domain::job::Query;
use shared::domain::payload;

use crate::support::World;

#[tokio::test]
async fn a_disconnection_is_wanted_and_its_sends_are_refused() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let path = "/api/instances/sales/disconnect";
    let data = user.post(path, ()).await.data(202);
    assert_eq!(data["status"], json!("CONNECTED"), "until the daemon has done it");
    let stored = world.stored(instance).await;
    assert_eq!(stored.desired.wanted, Wanted::Disconnected);
    assert_eq!(stored.desired.generation, 2);
    let nudges = world.waiting(&world.queue_names().queries(0)).await;
    assert_eq!(
        payload::decode::<Query>(&nudges[0].body).expect("ours"),
        Query::Nudge { instance }
    );
    world.daemon.observe(instance, Status::Disconnected).await;
    let body = json!({"to": "15550100002", "text": "x"});
    let answer = key.send("text", body).await;
    assert_eq!(answer.json()["error"]["code"], json!("INSTANCE_NOT_CONNECTED"));
    assert_eq!(
        world.audited(&user, Action::InstanceDisconnect).await,
        [instance.to_string()]
    );
}
