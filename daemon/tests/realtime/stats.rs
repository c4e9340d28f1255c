//! `message:stats`.

use std::collections::HashSet;

use serde_json::json;
use shared::domain::feed::FeedEvent;
use shared::ids::InstanceId;
use testbed::relay::{Fate, On, Relay, Reply};
use testbed::table;

use crate::world::World;

#[tokio::test]
async fn the_counters_of_every_instance_that_changed_are_told_however_many_they_are() {
    let world = World::new().await;
    let (feed, ada) = (world.feed().await, world.owner("ada@example.com").await);
    let mut instance = world.instance(&ada, "sales").await;
    let mut client = feed.follower(&ada.token).await;
    let mut told = HashSet::new();
    let mut changed = HashSet::new();
    for number in 0..300_u16 {
        instance.id = InstanceId::derived(instance.created_at, &[&number.to_string()]);
        changed.insert(json!(instance.id));
        feed.show(&instance, FeedEvent::MessageStatus, 1);
        while let (name, body) = client.event_or_counters().await
            && name == "message:stats"
        {
            told.insert(body["instance"]["id"].clone());
        }
    }
    while told.len() < changed.len() {
        let (name, body) = client.event_or_counters().await;
        assert_eq!(name, "message:stats");
        assert_eq!(body["data"]["received"], json!(0));
        assert!(changed.contains(&body["instance"]["id"]));
        told.insert(body["instance"]["id"].clone());
    }
}

#[tokio::test]
async fn counters_that_could_not_be_read_are_told_later() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let feed = world
        .feed_with("a", &table::patient(relay.endpoint()), |settings| settings)
        .await;
    let ada = world.owner("ada@example.com").await;
    let sales = world.instance(&ada, "sales").await;
    let mut client = feed.follower(&ada.token).await;
    let reading = On::operation("Query").with(sales.id.to_string());
    let failing = relay.plan(
        reading,
        [Fate::refused(Reply::Code(400, "AccessDeniedException"))],
    );
    feed.show(&sales, FeedEvent::MessageStatus, 1);
    assert_eq!(client.event().await.0, "message:status");
    let (name, body) = client.event_or_counters().await;
    assert_eq!(name, "message:stats");
    assert!(failing.is_done());
    // A machine's clock has nanoseconds.
    let at = body["timestamp"].as_str().expect("a time");
    assert_eq!(at.len(), "1970-01-01T00:00:00.000Z".len(), "{at}");
}
