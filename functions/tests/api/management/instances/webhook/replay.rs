//! Events once more.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::json;
use shared::domain::audit::Action;
use shared::domain::delivery::{Body, Delivery, DeliveryState, Errand, Retry};
use shared::ids::EventId;
use testbed::kept::{failed, record};
use testbed::relay::Fate;

use super::{WEBHOOK, errands, hook};
use crate::flaky_queue::Send;
use crate::support::World;

const REPLAY: &str = "/api/instances/sales/webhook/replay";

fn one(delivery: &Delivery) -> String {
    format!("{WEBHOOK}/deliveries/{}/replay", delivery.id)
}

/// A time as answers spell it.
fn spelled(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn events(errands: Vec<Errand>) -> Vec<EventId> {
    let event = |errand| match errand {
        Errand::Retry(retry) => retry.id,
        other @ Errand::Forget { .. } => panic!("{other:?}"),
    };
    errands.into_iter().map(event).collect()
}

#[tokio::test]
async fn an_event_whose_body_is_kept_is_sent_once_more() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let before = testbed::kept::delivery(&world.state.table, instance, world.now()).await;
    world.clock.advance(TimeDelta::seconds(1));
    user.put(WEBHOOK, hook()).await.data(200);
    let made_at = world.now();
    assert_eq!(
        user.post(&one(&before), ()).await.error(),
        "404 NOT_FOUND: There is no such delivery",
        "it was another webhook's"
    );
    let delivery = testbed::kept::delivery(&world.state.table, instance, world.now()).await;
    let data = user.post(&one(&delivery), ()).await.data(202);
    assert_eq!(data, json!({"id": delivery.id, "eventId": delivery.event()}));
    let retry = Errand::Retry(Retry {
        id: delivery.event(),
        instance,
        subscription: user.subscription.parse().expect("an id"),
        webhook: made_at,
        attempt: 0,
        asked_at: Some(world.now()),
        due_at: world.now(),
        body: Body::Kept,
    });
    assert_eq!(errands(&world).await, [retry]);
    assert_eq!(world.audited(&user, Action::WebhookReplayed).await.len(), 1);

    let mut gone = failed(instance, EventId::new(world.now()), world.now());
    gone.progress.body_until = None;
    record(&world.state.table, &gone).await;
    let answer = user.post(&one(&gone), ()).await;
    assert_eq!(answer.code(), "409 CONTENT_NOT_KEPT");
    let nothing = failed(instance, EventId::new(world.now()), world.now());
    assert_eq!(
        user.post(&one(&nothing), ()).await.error(),
        "404 NOT_FOUND: There is no such delivery"
    );
    assert!(errands(&world).await.is_empty());
}

#[tokio::test]
async fn the_failed_events_of_an_outage_are_sent_once_more_the_oldest_first() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    let mut all = Vec::new();
    for number in 0..6 {
        world.clock.advance(TimeDelta::minutes(1));
        let now = world.now();
        let mut delivery = failed(instance, EventId::new(now), now);
        match number {
            2 => delivery.progress.state = DeliveryState::Pending,
            3 => delivery.progress.body_until = None,
            _ => {}
        }
        record(&world.state.table, &delivery).await;
        all.push(delivery.event());
    }
    // The second minute to before the sixth.
    let window = json!({"from": "2026-01-01T00:02:00Z", "to": "2026-01-01T00:06:00Z"});
    let data = user.post(REPLAY, window).await.data(202);
    assert_eq!(data, json!({"queued": 2, "notKept": 1, "next": null}));
    assert_eq!(events(errands(&world).await), [all[1], all[4]]);
    let every = json!({"from": "2026-01-01T00:02:00Z", "failedOnly": false});
    let data = user.post(REPLAY, every).await.data(202);
    assert_eq!(data, json!({"queued": 4, "notKept": 1, "next": null}));
    assert_eq!(events(errands(&world).await), [all[1], all[2], all[4], all[5]]);
}

#[tokio::test]
async fn a_request_queues_so_many_and_says_where_to_go_on() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    for _ in 0..1_005 {
        world.clock.advance(TimeDelta::milliseconds(1));
        testbed::kept::delivery(&world.state.table, instance, world.now()).await;
    }
    let (mut queued, mut requests, mut from) = (0, 0, json!("2026-01-01T00:00:00Z"));
    let now = world.now();
    while !from.is_null() {
        let data = user.post(REPLAY, json!({"from": from})).await.data(202);
        let some = data["queued"].as_u64().expect("a number");
        assert!((1..=1_000).contains(&some), "{data}");
        queued += some;
        requests += 1;
        from = data["next"].clone();
    }
    assert_eq!(queued, 1_005);
    assert!(requests > 1, "it goes on from where it stopped");
    // Not all at once: twenty a second, the oldest first.
    let at_once = due(errands(&world).await);
    assert!(at_once.iter().all(|at| *at == now), "{at_once:?}");
    world.clock.advance(TimeDelta::seconds(49));
    let mut by_then = Vec::new();
    loop {
        let some = due(errands(&world).await);
        if some.is_empty() {
            break;
        }
        by_then.extend(some);
    }
    assert!(by_then.iter().any(|at| *at >= now + TimeDelta::seconds(10)));
    let of_first = by_then.iter().filter(|at| **at == now).count();
    assert!((20..=20 * requests).contains(&of_first), "{of_first}");
}

/// When these are due.
fn due(errands: Vec<Errand>) -> Vec<DateTime<Utc>> {
    let due = |errand| match errand {
        Errand::Retry(retry) => retry.due_at,
        other @ Errand::Forget { .. } => panic!("{other:?}"),
    };
    errands.into_iter().map(due).collect()
}

#[tokio::test]
async fn a_window_that_is_none_is_refused() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    for (body, error) in [
        (json!({}), "400 VALIDATION_ERROR: `from` is missing"),
        (
            json!({"from": "yesterday"}),
            "400 VALIDATION_ERROR: `from` must be an RFC 3339 time",
        ),
        (
            json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}),
            "400 VALIDATION_ERROR: `to` must be later than `from`",
        ),
        (
            json!({"from": "2026-01-01T00:00:00Z", "failedOnly": null}),
            "400 VALIDATION_ERROR: `failedOnly` must not be null",
        ),
    ] {
        assert_eq!(user.post(REPLAY, body).await.error(), error);
    }
}

#[tokio::test]
async fn a_queue_that_is_away_is_told() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    let delivery = testbed::kept::delivery(&world.state.table, instance, world.now()).await;
    world.queue.every_send(Some(Send::Away));
    assert_eq!(user.post(&one(&delivery), ()).await.status, 503);
}

/// What is queued by then is told, and where to go on: whoever asks again gets nothing twice but the event of that time.
#[tokio::test]
async fn a_list_that_cannot_be_read_to_its_end_ends_the_answer_and_not_the_replay() {
    let world = World::faulty(1).await;
    let (user, instance, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    let mut times = Vec::new();
    for _ in 0..120 {
        world.clock.advance(TimeDelta::milliseconds(1));
        let delivery = testbed::kept::delivery(&world.state.table, instance, world.now()).await;
        times.push(spelled(delivery.created_at));
    }
    let faults = world.faults.as_ref().expect("a faulty table");
    // The second page begins behind a delivery.
    faults.plan("Query", "#dlv_", [Fate::FAILED; 3]);
    let asked = json!({"from": "2026-01-01T00:00:00Z"});
    let data = user.post(REPLAY, asked).await.data(202);
    assert!(faults.is_done());
    assert_eq!(data, json!({"queued": 100, "notKept": 0, "next": times[99]}));
    let data = user.post(REPLAY, json!({"from": data["next"]})).await.data(202);
    assert_eq!(data, json!({"queued": 21, "notKept": 0, "next": null}));
}
