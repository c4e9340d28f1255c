//! `GET /api/admin/overview`.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::counting::Counter;
use shared::domain::instance::Status;
use shared::domain::message::Kind;
use shared::ids::InstanceId;
use shared::queue::OutgoingMessage;

use crate::management::people::{self, administrator, id, member};
use crate::support::{User, World};

const PATH: &str = "/api/admin/overview";

async fn overview(root: &User) -> Value {
    root.get(PATH).await.data(200)
}

/// The overview as it is now, whatever was told a moment ago.
async fn fresh(world: &World, root: &User) -> Value {
    world.clock.advance(TimeDelta::seconds(70));
    overview(root).await
}

fn of_status(overview: &Value, status: Status) -> &Value {
    &overview["networks"][0]["instances"]["byStatus"][status.as_str()]
}

#[tokio::test]
async fn a_new_deployment_has_an_administrator_and_nothing_else() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let told = overview(&root).await;
    let mut by_status = serde_json::Map::new();
    for status in Status::ALL {
        by_status.insert(status.to_string(), json!(0));
    }
    let empty = json!({"visible": 0, "inFlight": 0});
    let none = json!({"active": 0, "inactive": 0});
    let expected = json!({
        "generatedAt": "2026-01-01T00:00:00.000Z",
        "subscriptions": {
            "total": 1, "active": 1, "inactive": 0,
            "byTier": {"BASIC": {"active": 1, "inactive": 0}, "PRO": none, "MAX": none},
        },
        "users": {"total": 1, "active": 1, "administrators": 1},
        "messages": {
            "acceptedThisMonth": 0,
            "today": {"sent": 0, "delivered": 0, "read": 0, "failed": 0, "received": 0},
        },
        "networks": [{
            "network": "sandbox",
            "instances": {"total": 0, "byStatus": by_status},
            "daemons": {"alive": 0, "shards": 1, "shardsUnserved": 1},
            "queues": {"sends": empty, "queries": empty, "events": empty, "deadLetters": 0},
        }],
    });
    assert_eq!(told, expected);
}

#[tokio::test]
async fn subscriptions_and_users_are_counted_by_what_they_are() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let mem = member(&world, &ada, "mem@example.com").await;
    let eve = world.register("eve@example.com").await;
    for (user, change) in [(&ada, json!({"tier": "PRO"})), (&eve, json!({"active": false}))] {
        let path = format!("/api/subscriptions/{}", user.subscription);
        root.patch(&path, change).await.data(200);
    }
    let path = format!("/api/users/{}", id(&mem).await);
    root.patch(&path, json!({"active": false})).await.data(200);
    let told = overview(&root).await;
    assert_eq!(
        told["subscriptions"],
        json!({
            "total": 3, "active": 2, "inactive": 1,
            "byTier": {
                "BASIC": {"active": 1, "inactive": 1},
                "PRO": {"active": 1, "inactive": 0},
                "MAX": {"active": 0, "inactive": 0},
            },
        })
    );
    assert_eq!(
        told["users"],
        json!({"total": 4, "active": 3, "administrators": 1})
    );
}

#[tokio::test]
async fn an_instance_that_no_daemon_serves_is_not_connected() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let (ada, _, _) = world.ready().await;
    let gone = world.instance(&ada, "gone").await;
    world.instance(&ada, "resting").await;
    ada.delete(&format!("/api/instances/{gone}")).await.data(200);
    let told = overview(&root).await;
    assert_eq!(
        told["networks"][0]["instances"]["total"],
        json!(2),
        "without the deleted"
    );
    assert_eq!(*of_status(&told, Status::Connected), json!(1));
    assert_eq!(*of_status(&told, Status::Disconnected), json!(1));
    let daemons = json!({"alive": 1, "shards": 1, "shardsUnserved": 0});
    assert_eq!(told["networks"][0]["daemons"], daemons);

    let told = fresh(&world, &root).await;
    assert_eq!(*of_status(&told, Status::Connected), json!(0));
    assert_eq!(
        *of_status(&told, Status::Reconnecting),
        json!(1),
        "as its status says"
    );
    assert_eq!(*of_status(&told, Status::Disconnected), json!(1));
    let daemons = json!({"alive": 0, "shards": 1, "shardsUnserved": 1});
    assert_eq!(told["networks"][0]["daemons"], daemons);
}

#[tokio::test]
async fn messages_are_summed_and_queues_measured() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let (_, instance, key) = world.ready().await;
    let eve = world.register("eve@example.com").await;
    let other = world.instance(&eve, "other").await;
    for text in ["one", "two", "three"] {
        let body = json!({"to": "15550100009", "text": text});
        key.send("text", body).await.data(202);
    }
    let today = world.clock.now();
    for (instance, counters, at) in [
        (
            instance,
            vec![Counter::Sent(Kind::Text), Counter::Delivered],
            today,
        ),
        (instance, vec![Counter::Received], today),
        (other, vec![Counter::Sent(Kind::Text), Counter::Failed], today),
        (other, vec![Counter::Sent(Kind::Text)], today - TimeDelta::days(1)),
    ] {
        let counted = world.state.counters.count(instance, &counters, at).await;
        counted.expect("counted");
    }
    let names = world.queue_names();
    // A chat's three messages are one group: one is taken, two wait.
    assert_eq!(world.waiting(&names.sends(0)).await.len(), 3);
    for name in [names.queries(0), names.dead()] {
        let sent = world
            .state
            .queue
            .send(&name, OutgoingMessage::standard("{}"))
            .await;
        sent.expect("queued");
    }
    let letter = OutgoingMessage::fifo("{}", "group", "letter");
    world
        .state
        .queue
        .send(&names.dead_fifo(), letter)
        .await
        .expect("queued");

    let told = overview(&root).await;
    assert_eq!(
        told["messages"],
        json!({
            "acceptedThisMonth": 3,
            "today": {"sent": 2, "delivered": 1, "read": 0, "failed": 1, "received": 1},
        })
    );
    assert_eq!(
        told["networks"][0]["queues"],
        json!({
            "sends": {"visible": 0, "inFlight": 3},
            // The realtime feed is told of both instances.
            "queries": {"visible": 3, "inFlight": 0},
            "events": {"visible": 0, "inFlight": 0},
            "deadLetters": 2,
        })
    );
}

#[tokio::test]
async fn it_is_put_together_once_in_some_seconds() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let first = overview(&root).await;
    world.register("ada@example.com").await;
    world.clock.advance(TimeDelta::milliseconds(9_999));
    // Nothing is asked anew: the queues could not answer.
    world.queue.fail(true);
    assert_eq!(overview(&root).await, first);
    world.clock.advance(TimeDelta::minutes(59));
    let root = people::login(&world, "root@example.com").await;
    assert_eq!(overview(&root).await, first, "there is no newer one to be had");
    world.clock.advance(TimeDelta::minutes(1));
    let root = people::login(&world, "root@example.com").await;
    let answer = root.get(PATH).await;
    assert_eq!(answer.status, 503, "what is too old is not told");
    assert_eq!(answer.json()["error"]["code"], json!("UNAVAILABLE"));
    world.queue.fail(false);
    let second = overview(&root).await;
    assert_eq!(second["generatedAt"], json!("2026-01-01T01:00:09.999Z"));
    assert_eq!(second["users"]["total"], json!(2));
}

#[tokio::test]
async fn who_asks_when_the_last_is_not_fresh_any_more_is_told_of_now() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    overview(&root).await;
    world.register("ada@example.com").await;
    world.clock.advance(TimeDelta::seconds(10));
    let second = overview(&root).await;
    assert_eq!(second["generatedAt"], json!("2026-01-01T00:00:10.000Z"));
    assert_eq!(second["users"]["total"], json!(2));
}

/// More than one batch of keys.
#[tokio::test]
async fn nothing_is_left_out_of_many() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    for n in 0..101 {
        let user = world.register(&format!("user{n}@example.com")).await;
        let subscription = user.subscription.parse().expect("an id");
        let instance = InstanceId::new(world.clock.now());
        let counters = &world.state.counters;
        let counted = counters
            .count_against_quota(subscription, instance, 10, world.clock.now())
            .await;
        counted.expect("counted");
    }
    let told = overview(&root).await;
    assert_eq!(told["subscriptions"]["total"], json!(102));
    assert_eq!(told["users"]["total"], json!(102));
    assert_eq!(told["messages"]["acceptedThisMonth"], json!(101));
}
