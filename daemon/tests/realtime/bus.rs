//! Several daemons that tell each other events.

use std::collections::VecDeque;

use daemon::announce::hub::{KEPT, Shown};
use serde_json::{Value, json};
use shared::config::{Realtime, Secret};
use shared::domain::feed::FeedEvent;
use shared::ids::EventId;
use testbed::socket_io::Client;
use testbed::wait::until;
use tokio::time::Instant;

use crate::redis::Redis;
use crate::world::{Feed, Owner, World};

/// A daemon's feed over this Redis, once events of others come.
async fn feed(world: &World, daemon: &str, redis: &str) -> Feed {
    let feed = feed_over(world, daemon, redis).await;
    hears(&feed).await;
    feed
}

/// A daemon's feed over this Redis, whether that is there or not.
async fn feed_over(world: &World, daemon: &str, redis: &str) -> Feed {
    let url = Secret::new(redis);
    let change = |settings| Realtime {
        redis: Some(url),
        ..settings
    };
    world.feed_with(daemon, &world.table, change).await
}

async fn hears(feed: &Feed) {
    until("the way to the others", async || {
        feed.realtime.hears_others().then_some(())
    })
    .await;
}

/// Waits until this daemon knows that somebody follows.
async fn is_followed(feed: &Feed, owner: &Owner) {
    until("who is followed", async || {
        feed.hub.is_followed(owner.subscription.id).then_some(())
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
    is_followed(&b, &ada).await;
    let first = b.show(&sales, FeedEvent::MessageStatus, 1);
    let (name, body) = at_a.event().await;
    assert_eq!((name.as_str(), &body["id"]), ("message:status", &json!(first)));
    let second = a.show(&sales, FeedEvent::MessageStatus, 2);
    assert_eq!(at_a.event().await.1["id"], json!(second), "its own come once");
    drop(at_a);
    let third = b.show(&sales, FeedEvent::MessageStatus, 3);
    until("both at the other", async || {
        b.hub.place_behind(second, ada.subscription.id).ok()
    })
    .await;
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
}

#[tokio::test]
async fn a_client_that_goes_to_another_daemon_misses_nothing_that_crossed() {
    let world = World::new().await;
    let redis = Redis::start().await;
    let (a, b) = (
        feed(&world, "a", &redis.url).await,
        feed(&world, "b", &redis.url).await,
    );
    let ada = world.owner("ada@example.com").await;
    let sales = world.instance(&ada, "sales").await;
    let mut at_a = a.follower(&ada.token).await;
    is_followed(&b, &ada).await;
    // Both at the same moment: each daemon has its own first.
    let (first, second) = (
        a.show(&sales, FeedEvent::PresenceUpdate, 1),
        b.show(&sales, FeedEvent::PresenceUpdate, 2),
    );
    assert_eq!(at_a.event().await.1["id"], json!(first));
    drop(at_a);
    until("both at the other", async || (b.hub.end() == 2).then_some(())).await;
    let mut at_b = Client::join(&b.address, &ada.token).await.expect("let in");
    let data = at_b.subscribe(json!({"after": first})).await;
    assert_eq!(data["resumed"], json!(true));
    assert_eq!(at_b.event().await.1["id"], json!(second));
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

#[tokio::test]
async fn what_happens_while_a_daemon_hands_over_is_heard_at_the_others() {
    let world = World::new().await;
    let redis = Redis::start().await;
    let (a, b) = (
        feed(&world, "a", &redis.url).await,
        feed(&world, "b", &redis.url).await,
    );
    let ada = world.owner("ada@example.com").await;
    let sales = world.instance(&ada, "sales").await;
    let (mut at_a, mut at_b) = (a.follower(&ada.token).await, b.follower(&ada.token).await);
    b.stops();
    assert_eq!(at_b.end().await, (None, false));
    let during = b.show(&sales, FeedEvent::MessageStatus, 1);
    assert_eq!(at_a.event().await.1["id"], json!(during));
    // More than goes at a time, and nothing of it was told yet when the daemon had handed over.
    let mut last: VecDeque<_> = (2..=200)
        .map(|number| json!(b.show(&sales, FeedEvent::MessageStatus, number)))
        .collect();
    b.has_handed_over();
    let mut has_counters = false;
    while !last.is_empty() || !has_counters {
        let (name, body) = at_a.event_or_counters().await;
        if name == "message:stats" {
            has_counters = true;
        } else {
            assert_eq!(Some(&body["id"]), last.pop_front().as_ref());
        }
    }
}

#[tokio::test]
async fn a_daemon_that_starts_before_redis_tells_that_something_is_missing() {
    let world = World::new().await;
    let redis = Redis::away().await;
    let a = feed_over(&world, "a", &redis.url).await;
    let ada = world.owner("ada@example.com").await;
    let sales = world.instance(&ada, "sales").await;
    let mut client = a.follower(&ada.token).await;
    let own = a.show(&sales, FeedEvent::PresenceUpdate, 1);
    assert_eq!(client.event().await.1["id"], json!(own));
    redis.comes_back();
    assert_eq!(client.event().await.0, "resync");
    let data = client.subscribe(json!({"after": own})).await;
    assert_eq!(
        data["resumed"],
        json!(false),
        "what others told behind it is not known"
    );
}

#[tokio::test]
async fn daemons_say_at_once_whom_somebody_begins_to_follow() {
    let world = World::new().await;
    let redis = Redis::start().await;
    let a = feed(&world, "a", &redis.url).await;
    let ada = world.owner("ada@example.com").await;
    let _follower = a.follower(&ada.token).await;
    // Every few seconds all are named. One that comes just then is named with them, so another one comes.
    let mut others = Vec::new();
    until("a word of its own", async || {
        let other = world.owner(&format!("eve{}@example.com", others.len())).await;
        let follower = a.follower(&other.token).await;
        let id = json!(other.subscription.id);
        others.push((other, follower));
        let first = until("a word that names it", async || {
            let words = redis.told("followed");
            let mut lists = words.iter().map(|word| &word["message"]["subscriptions"]);
            let has_it = |list: &&Value| list.as_array().is_some_and(|list| list.contains(&id));
            lists.find(has_it).cloned()
        })
        .await;
        (first == json!([id])).then_some(())
    })
    .await;
    // A daemon that comes later hears of all.
    let b = feed(&world, "b", &redis.url).await;
    is_followed(&b, &ada).await;
    for (other, _) in &others {
        is_followed(&b, other).await;
    }
}

#[tokio::test]
async fn a_daemon_that_dies_is_missed_and_one_that_goes_in_order_is_not() {
    let world = World::new().await;
    let redis = Redis::start().await;
    let (a, b) = (
        feed(&world, "a", &redis.url).await,
        feed(&world, "b", &redis.url).await,
    );
    let ada = world.owner("ada@example.com").await;
    let sales = world.instance(&ada, "sales").await;
    let mut client = a.follower(&ada.token).await;
    let first = a.show(&sales, FeedEvent::PresenceUpdate, 1);
    assert_eq!(client.event().await.1["id"], json!(first));
    b.stops();
    b.has_handed_over();
    until("a goodbye", async || {
        let told = redis.told("goodbye");
        told.iter().any(|envelope| envelope["from"] == "b").then_some(())
    })
    .await;
    // Two words more of the one that stays: so the one that went has been silent for longer than the next will be.
    let words = redis.told("followed").len();
    until("two words", async || {
        (redis.told("followed").len() >= words + 2).then_some(())
    })
    .await;
    // This one says nothing any more after its first word.
    let began = Instant::now();
    let said = json!({"v": 1, "from": "c", "message": {"type": "followed", "subscriptions": []}});
    redis.publish(&redis.channel(), &said).await;
    assert_eq!(client.event().await.0, "resync");
    assert!(
        began.elapsed().as_secs() >= 15,
        "it was that of the one that died, and not of the other"
    );
    let data = client.subscribe(json!({"after": first})).await;
    assert_eq!(data["resumed"], json!(false));
}

#[tokio::test]
async fn daemons_of_another_network_are_not_heard() {
    let world = World::new().await;
    let redis = Redis::start().await;
    let a = feed(&world, "a", &redis.url).await;
    let ada = world.owner("ada@example.com").await;
    let sales = world.instance(&ada, "sales").await;
    let mut client = a.follower(&ada.token).await;
    let told = |number| {
        let shown = crate::world::shown(&sales, FeedEvent::PresenceUpdate, number, &json!({}));
        let event = json!({
            "type": "event",
            "id": shown.id,
            "subscription": sales.subscription,
            "instance": sales.id,
            "name": shown.event,
            "body": shown.body,
        });
        (shown.id, json!({"v": 1, "from": "c", "message": event}))
    };
    let channel = redis.channel();
    let elsewhere = channel.replace("|sandbox", "|live");
    assert_ne!(channel, elsewhere);
    redis.publish(&elsewhere, &told(1).1).await;
    let (id, envelope) = told(2);
    redis.publish(&channel, &envelope).await;
    assert_eq!(client.event().await.1["id"], json!(id));
}

#[tokio::test]
async fn events_that_come_at_once_go_in_few_round_trips() {
    let world = World::new().await;
    let redis = Redis::start().await;
    let (a, b) = (
        feed(&world, "a", &redis.url).await,
        feed(&world, "b", &redis.url).await,
    );
    let ada = world.owner("ada@example.com").await;
    let sales = world.instance(&ada, "sales").await;
    let before = redis.waits();
    for number in 0..=255 {
        a.show(&sales, FeedEvent::PresenceUpdate, number);
    }
    until("all at the other", async || {
        (b.hub.end() == a.hub.end()).then_some(())
    })
    .await;
    let waits = redis.waits() - before;
    assert!(waits < 64, "{waits} for 256 events");
}

#[tokio::test]
async fn a_daemon_that_falls_behind_says_so_now_and_then_and_counts_what_it_lost() {
    const ROUNDS: usize = 8;
    let world = World::new().await;
    let redis = Redis::start().await;
    let began = Instant::now();
    let a = feed(&world, "a", &redis.url).await;
    let ada = world.owner("ada@example.com").await;
    let sales = world.instance(&ada, "sales").await;
    let event = crate::world::shown(&sales, FeedEvent::PresenceUpdate, 0, &json!({}));
    for round in 0..ROUNDS {
        // More than the hub keeps, before anybody has a look.
        for number in 0..=KEPT {
            let parts = [round.to_string(), number.to_string()];
            let id = EventId::derived(sales.created_at, &[&parts[0], &parts[1]]);
            a.hub.show(Shown { id, ..event.clone() });
        }
        until("what was lost is counted", async || {
            let lost = usize::try_from(a.realtime.load().events_untold).expect("few");
            (lost > (round + 1) * KEPT).then_some(())
        })
        .await;
    }
    until("a word that something is missing", async || {
        (!redis.told("gap").is_empty()).then_some(())
    })
    .await;
    let gaps = redis.told("gap").len();
    let periods = usize::try_from(began.elapsed().as_secs() / 5).expect("few");
    assert!(gaps <= periods + 1, "{gaps} in {periods} periods");
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
