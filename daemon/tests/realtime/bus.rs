//! Several daemons that tell each other events.

use serde_json::json;
use shared::config::{Realtime, Secret};
use shared::domain::feed::FeedEvent;
use testbed::socket_io::Client;
use testbed::wait::until;

use crate::redis::Redis;
use crate::world::{Feed, World};

/// A daemon's feed over this Redis, once events of others come.
async fn feed(world: &World, daemon: &str, redis: &str) -> Feed {
    let url = Secret::new(redis);
    let feed = world
        .feed_with(daemon, &world.table, |settings| Realtime {
            redis: Some(url),
            ..settings
        })
        .await;
    hears(&feed).await;
    feed
}

async fn hears(feed: &Feed) {
    until("the way to the others", async || {
        feed.realtime.hears_others().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_socket_at_one_daemon_hears_of_what_happens_at_another_and_resumes_there() {
    let world = World::new().await;
    let redis = Redis::start().await;
    let (a, b) = (
        feed(&world, "a", &redis.url).await,
        feed(&world, "b", &redis.url).await,
    );
    let ada = world.owner("ada@example.com").await;
    let sales = world.instance(&ada, "sales").await;
    let mut at_a = a.follower(&ada.token).await;
    let first = b.show(&sales, FeedEvent::MessageStatus, 1);
    let (name, body) = at_a.event().await;
    assert_eq!((name.as_str(), &body["id"]), ("message:status", &json!(first)));
    let second = a.show(&sales, FeedEvent::MessageStatus, 2);
    assert_eq!(at_a.event().await.1["id"], json!(second), "its own come once");
    drop(at_a);
    let third = b.show(&sales, FeedEvent::MessageStatus, 3);
    until("both at the other", async || b.hub.place_behind(second).ok()).await;
    let mut at_b = Client::join(&b.address, &ada.token).await.expect("let in");
    let data = at_b.subscribe(json!({"after": first})).await;
    assert_eq!(data["resumed"], json!(true));
    let mut ids = [
        at_b.event().await.1["id"].clone(),
        at_b.event().await.1["id"].clone(),
    ];
    ids.sort_by_key(ToString::to_string);
    let mut wanted = [json!(second), json!(third)];
    wanted.sort_by_key(ToString::to_string);
    assert_eq!(ids, wanted);
    // Each knows whom the other's sockets follow.
    until("who is followed", async || {
        a.hub.is_followed(ada.subscription.id).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_lost_while_redis_is_away_is_told_of() {
    let world = World::new().await;
    let redis = Redis::start().await;
    let (a, b) = (
        feed(&world, "a", &redis.url).await,
        feed(&world, "b", &redis.url).await,
    );
    let ada = world.owner("ada@example.com").await;
    let sales = world.instance(&ada, "sales").await;
    let mut client = a.follower(&ada.token).await;
    redis.goes();
    for feed in [&a, &b] {
        until("the end of the way", async || {
            (!feed.realtime.hears_others()).then_some(())
        })
        .await;
    }
    b.show(&sales, FeedEvent::MessageStatus, 1);
    let own = a.show(&sales, FeedEvent::MessageStatus, 2);
    assert_eq!(client.event().await.1["id"], json!(own), "its own daemon's come");
    redis.comes_back();
    hears(&a).await;
    hears(&b).await;
    assert_eq!(client.event().await.0, "resync");
    let third = b.show(&sales, FeedEvent::MessageStatus, 3);
    loop {
        match client.event().await {
            (name, _) if name == "resync" => {}
            (_, body) => {
                assert_eq!(body["id"], json!(third));
                break;
            }
        }
    }
    assert!(a.realtime.load().events_untold + b.realtime.load().events_untold >= 1);
}

/// The same over a Redis that somebody else wrote: `.ci/run` starts one.
#[tokio::test]
#[ignore = "needs a Redis at WAXWING_REDIS_ENDPOINT"]
#[expect(clippy::disallowed_methods, reason = "where the test's Redis is")]
async fn a_real_redis_carries_events_between_daemons() {
    let url = std::env::var("WAXWING_REDIS_ENDPOINT").expect("WAXWING_REDIS_ENDPOINT");
    let world = World::new().await;
    let (a, b) = (feed(&world, "a", &url).await, feed(&world, "b", &url).await);
    let ada = world.owner("ada@example.com").await;
    let sales = world.instance(&ada, "sales").await;
    let mut at_a = a.follower(&ada.token).await;
    for number in 1..=100 {
        let told = b.show(&sales, FeedEvent::MessageStatus, number);
        assert_eq!(at_a.event().await.1["id"], json!(told));
    }
}
