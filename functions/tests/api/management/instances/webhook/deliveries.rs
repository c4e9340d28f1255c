//! The log of deliveries.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::domain::delivery::{Attempt, AttemptFault, Delivery, DeliveryState, Progress, TERM};
use shared::domain::event::EventType;
use shared::ids::{DeliveryId, EventId, InstanceId, MessageId};
use shared::storage::deliveries::Deliveries;
use testbed::kept::{failed, record};

use super::{WEBHOOK, hook, keeper};
use crate::management::people;
use crate::support::{Caller, World};

const LOG: &str = "/api/instances/sales/webhook/deliveries";

/// A minute goes by, and an event is sent.
async fn sent(world: &World, instance: InstanceId, change: impl FnOnce(&mut Delivery)) -> Delivery {
    world.clock.advance(TimeDelta::minutes(1));
    let now = world.now();
    let mut delivery = failed(instance, EventId::new(now), now);
    change(&mut delivery);
    record(&world.state.table, &delivery).await;
    delivery
}

async fn ids(caller: &Caller, query: &str) -> Vec<String> {
    let data = caller.get(&format!("{LOG}{query}")).await.data(200);
    let id = |delivery: &Value| delivery["id"].as_str().expect("an id").to_owned();
    data.as_array().expect("a list").iter().map(id).collect()
}

fn id(delivery: &Delivery) -> String {
    delivery.id.to_string()
}

#[tokio::test]
async fn a_delivery_is_shown_with_its_attempts_and_without_what_the_event_tells() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    assert_eq!(
        user.get(LOG).await.error(),
        "404 NOT_FOUND: There is no such webhook"
    );
    user.put(WEBHOOK, hook()).await.data(200);
    let delivery = sent(&world, instance, |_| {}).await;
    let deliveries = Deliveries::new(world.state.table.clone());
    let later = Attempt {
        at: delivery.created_at + TimeDelta::seconds(5),
        status: None,
        took_ms: 15_000,
        fault: Some(AttemptFault::Timeout),
    };
    let pending = Progress {
        state: DeliveryState::Pending,
        next_attempt_at: Some(delivery.created_at + TimeDelta::minutes(5)),
        body_until: Some(delivery.created_at + TERM),
    };
    for _ in 0..2 {
        // The same attempt is there once, however often it is told.
        let added = deliveries.add_attempt(instance, delivery.id, &later, &pending);
        assert!(added.await.expect("stored"));
    }
    let shown = json!([{
        "id": delivery.id,
        "eventId": delivery.event(),
        "type": "session.connected",
        "messageId": null,
        "state": "pending",
        "createdAt": "2026-01-01T00:01:00.000Z",
        "nextAttemptAt": "2026-01-01T00:06:00.000Z",
        "replayableUntil": "2026-01-15T00:01:00.000Z",
        "attempts": [
            {"at": "2026-01-01T00:01:00.000Z", "status": 503, "tookMs": 132, "error": "STATUS"},
            {"at": "2026-01-01T00:01:05.000Z", "status": null, "tookMs": 15_000, "error": "TIMEOUT"},
        ],
    }]);
    assert_eq!(user.get(LOG).await.data(200), shown);

    // Once the endpoint has taken it, nothing sets it back.
    let taken = Attempt {
        at: later.at + TimeDelta::seconds(20),
        status: Some(204),
        took_ms: 9,
        fault: None,
    };
    let over = Progress {
        state: DeliveryState::Succeeded,
        next_attempt_at: None,
        body_until: None,
    };
    let after = Attempt {
        at: taken.at + TimeDelta::seconds(1),
        ..later
    };
    for (attempt, progress) in [(taken, over), (after, pending)] {
        let added = deliveries.add_attempt(instance, delivery.id, &attempt, &progress);
        assert!(added.await.expect("stored"));
    }
    let shown = user.get(LOG).await.data(200)[0].clone();
    assert_eq!(
        (&shown["state"], &shown["nextAttemptAt"]),
        (&json!("succeeded"), &json!(null))
    );
    assert_eq!(shown["replayableUntil"], json!(null));
    assert_eq!(shown["attempts"].as_array().map(Vec::len), Some(4));
    let gone = deliveries.add_attempt(instance, DeliveryId::of(EventId::new(world.now())), &taken, &over);
    assert!(!gone.await.expect("read"), "there is no such delivery");
}

#[tokio::test]
async fn a_delivery_tells_of_so_many_attempts_and_goes_on() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    let delivery = sent(&world, instance, |_| {}).await;
    let deliveries = Deliveries::new(world.state.table.clone());
    for number in 1..40 {
        let attempt = Attempt {
            at: delivery.created_at + TimeDelta::seconds(number),
            ..delivery.attempts[0]
        };
        let progress = Progress {
            state: DeliveryState::Pending,
            next_attempt_at: Some(attempt.at),
            ..delivery.progress
        };
        let added = deliveries.add_attempt(instance, delivery.id, &attempt, &progress);
        assert!(added.await.expect("stored"));
    }
    let shown = user.get(LOG).await.data(200)[0].clone();
    assert_eq!(shown["attempts"].as_array().map(Vec::len), Some(32));
    assert_eq!(
        shown["nextAttemptAt"],
        json!("2026-01-01T00:01:39.000Z"),
        "it goes on"
    );
}

#[tokio::test]
async fn the_log_is_read_in_pages_newest_first() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(id(&sent(&world, instance, |_| {}).await));
    }
    all.reverse();
    let mut read = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = user.get(&format!("{LOG}{query}")).await;
        read.extend(ids(&user, &query).await);
        let next = page.json()["meta"]["pagination"]["nextCursor"].clone();
        let Some(cursor) = next.as_str() else { break };
        query = format!("?limit=2&cursor={cursor}");
    }
    assert_eq!(read, all);
    let page = user.get(&format!("{LOG}?limit=2")).await.json();
    let cursor = page["meta"]["pagination"]["nextCursor"]
        .as_str()
        .expect("there is more")
        .to_owned();
    let other = user.get(&format!("{LOG}?state=failed&cursor={cursor}")).await;
    assert_eq!(
        other.error(),
        "400 VALIDATION_ERROR: `cursor` must be a `nextCursor` of this list"
    );
    // What was tried first 14 days ago is not there any more, whenever the table removes it.
    let key = keeper(&world, &user, instance).await;
    world.clock.advance(TERM - TimeDelta::minutes(2));
    let left = key.get("/api/webhook/deliveries").await.data(200);
    assert_eq!(people::each(&left, "id"), all[..2]);
}

#[tokio::test]
async fn the_log_is_filtered_by_event_message_type_state_and_time() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    let message = MessageId::new(world.now());
    let about = |delivery: &mut Delivery| {
        // As the announcer makes ids of events about a message.
        let event = EventId::derived(message.created_at(), &[&delivery.id.to_string()]);
        delivery.id = DeliveryId::of(event);
        delivery.message = Some(message);
        delivery.kind = EventType::MessageStatus.to_string();
    };
    let first = sent(&world, instance, |_| {}).await;
    let told = sent(&world, instance, about).await;
    let succeeded = |delivery: &mut Delivery| delivery.progress.state = DeliveryState::Succeeded;
    let good = sent(&world, instance, succeeded).await;
    let again = sent(&world, instance, about).await;
    for (query, wanted) in [
        (String::new(), vec![&again, &good, &told, &first]),
        (format!("?event={}", told.event()), vec![&told]),
        (format!("?event={}", EventId::new(world.now())), vec![]),
        (format!("?message={message}"), vec![&again, &told]),
        (format!("?message={}", MessageId::new(world.now())), vec![]),
        ("?type=message.status".to_owned(), vec![&again, &told]),
        ("?type=session.connected&state=failed".to_owned(), vec![&first]),
        ("?state=succeeded".to_owned(), vec![&good]),
        (
            "?from=2026-01-01T00:02:00Z&to=2026-01-01T00:04:00Z".to_owned(),
            vec![&good, &told],
        ),
        (
            format!("?message={message}&from=2026-01-01T00:03:00Z"),
            vec![&again],
        ),
        (format!("?event={}&state=succeeded", told.event()), vec![]),
    ] {
        let wanted: Vec<_> = wanted.into_iter().map(id).collect();
        assert_eq!(ids(&user, &query).await, wanted, "{query}");
    }
    let pages = format!("?message={message}&limit=1");
    let page = user.get(&format!("{LOG}{pages}")).await;
    let cursor = page.json()["meta"]["pagination"]["nextCursor"].clone();
    let next = format!("{pages}&cursor={}", cursor.as_str().expect("there is more"));
    assert_eq!(ids(&user, &next).await, [id(&told)]);
    let wrong = "?event=x&message=y&type=z&state=w&from=v&to=u";
    let answer = user.get(&format!("{LOG}{wrong}")).await;
    let fields = answer.bad_fields();
    assert_eq!(fields.len(), 6, "{fields:?}");
}

#[tokio::test]
async fn deliveries_are_removed_page_by_page_and_later_ones_stay() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    for _ in 0..3 {
        sent(&world, instance, |_| {}).await;
    }
    world.clock.advance(TimeDelta::seconds(1));
    let deleted_at = world.now();
    let stays = sent(&world, instance, |_| {}).await;
    let deliveries = Deliveries::new(world.state.table.clone());
    let forgotten = deliveries
        .forget_some(instance, deleted_at, None)
        .await
        .expect("removed");
    assert_eq!(forgotten.ids.len(), 3);
    assert_eq!(forgotten.next, None, "all are removed");
    assert_eq!(ids(&user, "").await, [id(&stays)]);
}
