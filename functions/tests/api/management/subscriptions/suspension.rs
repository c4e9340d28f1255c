//! What switching a subscription does to its instances: `PATCH /api/subscriptions/{subscription}`.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use shared::domain::instance::{Instance, Wanted};
use shared::domain::job::Query;
use shared::domain::payload;
use shared::ids::{InstanceId, SubscriptionId};
use shared::storage::accounts::{SubscriptionChange, SubscriptionChanged};
use shared::storage::instances::{Created, Suspended};

use crate::management::people::administrator;
use crate::support::{User, World};

async fn switch(root: &User, of: &User, active: bool) {
    let path = format!("/api/subscriptions/{}", of.subscription);
    root.patch(&path, json!({"active": active})).await.data(200);
}

async fn all(world: &World, of: &User) -> Vec<Instance> {
    world
        .state
        .instances
        .list_all(subscription(of))
        .await
        .expect("read")
}

fn subscription(of: &User) -> SubscriptionId {
    of.subscription.parse().expect("an id")
}

/// The instances that were nudged since this was last asked.
async fn nudged(world: &World) -> Vec<InstanceId> {
    let mut nudged = Vec::new();
    let queue = world.queue_names().queries(0);
    for received in world.waiting(&queue).await {
        let Query::Nudge { instance } = payload::decode(&received.body).expect("ours") else {
            panic!("a nudge");
        };
        nudged.push(instance);
        let deleted = world.state.queue.delete(&queue, &received.receipt).await;
        deleted.expect("deleted");
    }
    nudged.sort_unstable();
    nudged
}

#[tokio::test]
async fn its_instances_rest_and_go_on_as_they_were_wanted() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let (ada, connected, _) = world.ready().await;
    let resting = world.instance(&ada, "resting").await;
    let eve = world.register("eve@example.com").await;
    let strangers = world.instance(&eve, "sales").await;
    let mut own = vec![connected, resting];
    own.sort_unstable();
    let before = world.stored(connected).await;
    nudged(&world).await;

    for active in [false, true, false] {
        switch(&root, &ada, active).await;
        assert_eq!(nudged(&world).await, own);
        for instance in all(&world, &ada).await {
            assert_eq!(instance.suspended, !active);
        }
        assert!(!world.stored(strangers).await.suspended);
        assert_eq!(world.stored(connected).await.desired, before.desired);
    }
    assert_eq!(world.stored(connected).await.wanted(), Wanted::Disconnected);
}

#[tokio::test]
async fn a_request_that_was_broken_off_is_made_good_by_the_next() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let (ada, instance, _) = world.ready().await;
    for active in [false, true] {
        let change = SubscriptionChange {
            tier: None,
            active: Some(active),
        };
        let accounts = &world.state.accounts;
        let changed = accounts.update_subscription(subscription(&ada), change).await;
        assert!(matches!(changed, Ok(SubscriptionChanged::Done(_))));
        assert_eq!(world.stored(instance).await.suspended, active, "not yet");
        nudged(&world).await;
        for _ in 0..2 {
            switch(&root, &ada, active).await;
            assert_eq!(world.stored(instance).await.suspended, !active);
            assert_eq!(nudged(&world).await, [instance]);
        }
    }
}

/// A function ends 29 s after it began, with what it had still to do.
#[tokio::test]
async fn a_queue_that_does_not_answer_keeps_no_request_from_its_end() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let (ada, instance, _) = world.ready().await;
    world.queue.hang();
    let switched = tokio::time::timeout(Duration::from_secs(29), switch(&root, &ada, false));
    switched.await.expect("it is answered in time");
    assert!(world.stored(instance).await.suspended);
}

#[tokio::test]
async fn an_instance_that_is_created_meanwhile_rests_too_or_is_not_created() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let creations = join_all((0..5).map(|n| {
        let body = json!({"name": format!("new-{n}")});
        ada.post("/api/instances", body)
    }));
    let (creations, ()) = tokio::join!(creations, switch(&root, &ada, false));
    let made = creations.iter().filter(|answer| answer.status == 201).count();
    for answer in creations.iter().filter(|answer| answer.status != 201) {
        assert!(answer.error().starts_with("403 SUBSCRIPTION_INACTIVE"));
    }
    let instances = all(&world, &ada).await;
    assert_eq!(instances.len(), made);
    assert!(instances.iter().all(|instance| instance.suspended));
}

#[tokio::test]
async fn a_creation_that_was_let_in_before_is_refused_after() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let first = world.instance(&ada, "sales").await;
    switch(&root, &ada, false).await;
    let late = Instance {
        id: InstanceId::new(chrono::DateTime::UNIX_EPOCH),
        name: "late".parse().expect("a name"),
        ..world.stored(first).await
    };
    let created = world.state.instances.create(&late, 5).await.expect("answered");
    assert_eq!(created, Created::SubscriptionInactive);
}

#[tokio::test]
async fn of_requests_that_switch_to_and_fro_one_holds_for_all() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    for n in 0..5 {
        world.instance(&ada, &format!("n{n}")).await;
    }
    for _ in 0..4 {
        join_all((0..6).map(|n| switch(&root, &ada, n % 2 == 0))).await;
        let found = world.state.accounts.get_subscription(subscription(&ada)).await;
        let active = found.expect("read").expect("there").active;
        for instance in all(&world, &ada).await {
            assert_eq!(instance.suspended, !active);
        }
    }
}

#[tokio::test]
async fn what_comes_too_late_changes_nothing() {
    let world = World::new().await;
    let (ada, instance, _) = world.ready().await;
    let late = world.state.instances.suspend(subscription(&ada), true).await;
    assert_eq!(late.expect("answered"), Suspended::Stale, "it is active");
    assert!(!world.stored(instance).await.suspended);
}
