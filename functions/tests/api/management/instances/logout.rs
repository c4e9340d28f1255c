//! `POST /api/instances/{instance}/logout`.

use serde_json::json;
use shared::domain::audit::Action;
use shared::domain::instance::Wanted;
use shared::domain::job::Query;
use shared::domain::payload;

use crate::support::World;

#[tokio::test]
async fn a_logout_is_wanted_and_sends_are_refused_at_once() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let path = "/api/instances/sales/logout";
    user.post(path, ()).await.data(202);
    assert_eq!(world.stored(instance).await.desired.wanted, Wanted::LoggedOut);
    let nudges = world.waiting(&world.queue_names().queries(0)).await;
    assert_eq!(
        payload::decode::<Query>(&nudges[0].body).expect("ours"),
        Query::Nudge { instance }
    );
    let body = json!({"to": "15550100002", "text": "x"});
    let answer = key.send("text", body).await;
    assert_eq!(answer.json()["error"]["code"], json!("INSTANCE_NOT_CONNECTED"));
    assert_eq!(
        world.audited(&user, Action::InstanceLogout).await,
        [instance.to_string()]
    );
}
