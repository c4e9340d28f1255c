//! `POST /api/instances/{instance}/restart`.

use shared::domain::audit::Action;
use shared::domain::instance::Wanted;
use shared::domain::job::Query;
use shared::domain::payload;

use crate::support::World;

#[tokio::test]
async fn a_restart_asks_for_a_connection_later_than_the_present_one() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let path = "/api/instances/sales/restart";
    user.post(path, ()).await.data(202);
    let desired = world.stored(instance).await.desired;
    assert_eq!(desired.wanted, Wanted::Connected);
    assert_eq!((desired.generation, desired.restart), (2, 2));
    let nudges = world.waiting(&world.queue_names().queries(0)).await;
    assert_eq!(
        payload::decode::<Query>(&nudges[0].body).expect("ours"),
        Query::Nudge { instance }
    );
    // A connection that is asked for afterwards does not take the restart back.
    let path = "/api/instances/sales/connect";
    user.post(path, ()).await.data(202);
    let desired = world.stored(instance).await.desired;
    assert_eq!((desired.generation, desired.restart), (3, 2));
    for action in [Action::InstanceRestart, Action::InstanceConnect] {
        assert_eq!(world.audited(&user, action).await, [instance.to_string()]);
    }
}
