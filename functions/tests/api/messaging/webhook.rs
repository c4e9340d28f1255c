//! The webhook as a program sees it, and what a message's timeline tells of it. What the routes do is tried under
//! `management/instances/webhook`.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::domain::audit::{Action, Actor};
use shared::domain::delivery::Delivery;
use shared::domain::event::{Event, EventType};
use shared::domain::payload;
use shared::ids::{DeliveryId, EventId, InstanceId, MessageId};
use testbed::kept::{failed, record};
use testbed::relay::Fate;

use crate::flaky_queue::Send;
use crate::management::instances::webhook::test::tried;
use crate::management::instances::webhook::{confidential, errands, hook, keeper};
use crate::management::people;
use crate::support::{Caller, World};

/// The instance, and a key that may read and write its webhook.
async fn ready(world: &World) -> (InstanceId, Caller) {
    let (user, instance, _) = world.ready().await;
    (instance, keeper(world, &user, instance).await)
}

#[tokio::test]
async fn a_program_keeps_the_webhook_of_its_instance() {
    let world = World::new().await;
    let (instance, key) = ready(&world).await;
    let made = key.put("/api/webhook", hook()).await.data(200);
    assert!(made["secret"].is_string());
    let shown = key.get("/api/webhook").await;
    assert_eq!(shown.data(200)["url"], hook()["url"]);
    assert_eq!(shown.json()["meta"]["instanceName"], json!("sales"));
    key.post("/api/webhook/test", ()).await.data(202);
    assert_eq!(world.waiting(&world.queue_names().events()).await.len(), 1);
    let delivery = testbed::kept::delivery(&world.state.table, instance, world.now()).await;
    let log = key.get("/api/webhook/deliveries").await.data(200);
    assert_eq!(log[0]["id"], json!(delivery.id));
    let one = format!("/api/webhook/deliveries/{}/replay", delivery.id);
    key.post(&one, ()).await.data(202);
    let from = json!({"from": "2025-12-31T00:00:00Z"});
    let replayed = key.post("/api/webhook/replay", from).await.data(202);
    assert_eq!(replayed["queued"], json!(1));
    assert_eq!(errands(&world).await.len(), 2);
    let deleted = key.delete("/api/webhook").await.data(200);
    assert_eq!(deleted, json!({"id": instance, "deleted": true}));
    for action in [
        Action::WebhookCreated,
        Action::WebhookTested,
        Action::WebhookReplayed,
        Action::WebhookDeleted,
    ] {
        let entries = people::audited(&world, action).await;
        assert!(matches!(entries[0].actor, Actor::Key(_)), "{entries:?}");
    }
}

#[tokio::test]
async fn a_key_without_the_scope_of_its_making_sets_no_webhook() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    assert_eq!(key.get("/api/webhook").await.status, 404, "it may read");
    assert_eq!(
        key.put("/api/webhook", hook()).await.error(),
        "403 INSUFFICIENT_SCOPE: The API key lacks the scope `webhook:write`",
        "no key has it by default"
    );
}

/// The same request again, with the same key.
async fn twice(key: &Caller, path: &str, body: Option<Value>) -> (Value, Value) {
    let key = key.with_header("idempotency-key", path);
    let send = async || match &body {
        Some(body) => key.post(path, body.clone()).await,
        None => key.post(path, ()).await,
    };
    let (first, second) = (send().await, send().await);
    assert!(first.is_success(), "{first:?}");
    assert_eq!(first.status, second.status);
    assert_eq!(second.header("idempotency-replayed"), "true");
    (first.json()["data"].clone(), second.json()["data"].clone())
}

#[tokio::test]
async fn a_request_that_comes_again_has_the_first_answer_its_secret_too() {
    let world = World::new().await;
    let (instance, key) = ready(&world).await;
    let (first, second) = twice(&key, "/api/webhook", Some(hook())).await;
    assert!(first["secret"].is_string());
    assert_eq!(first, second);
    let (first, second) = twice(&key, "/api/webhook/rotate-secret", None).await;
    assert_eq!(first, second);
    let rests = confidential(&world, instance).await;
    assert_eq!(
        json!(rests.secret.reveal()),
        first["secret"],
        "it was replaced once"
    );
    let (first, second) = twice(&key, "/api/webhook/test", None).await;
    assert_eq!(first, second);
    assert_eq!(world.waiting(&world.queue_names().events()).await.len(), 1);
    let delivery = testbed::kept::delivery(&world.state.table, instance, world.now()).await;
    let one = format!("/api/webhook/deliveries/{}/replay", delivery.id);
    let (first, second) = twice(&key, &one, None).await;
    assert_eq!(first, second);
    let all = json!({"from": "2025-12-31T00:00:00Z"});
    let (first, second) = twice(&key, "/api/webhook/replay", Some(all)).await;
    assert_eq!(first, second);
    assert_eq!(errands(&world).await.len(), 2, "each was queued once");

    let mut other = hook();
    other["events"] = json!(["*"]);
    let again = key.with_header("idempotency-key", "/api/webhook");
    assert_eq!(
        again.post("/api/webhook", other).await.code(),
        "409 IDEMPOTENCY_CONFLICT"
    );
    // What was refused leaves its key to the next request.
    let fresh = key.with_header("idempotency-key", "fresh");
    key.delete("/api/webhook").await.data(200);
    assert_eq!(fresh.post("/api/webhook/test", ()).await.status, 404);
    key.put("/api/webhook", hook()).await.data(200);
    assert_eq!(fresh.post("/api/webhook/test", ()).await.status, 202);
}

/// Nobody knows whether the first request has made the webhook; it has. Whoever repeats it sees the secret.
#[tokio::test]
async fn a_webhook_that_was_made_in_doubt_shows_its_secret_to_the_request_that_comes_again() {
    let world = World::faulty(1).await;
    let (instance, key) = ready(&world).await;
    let key = key.with_header("idempotency-key", "one");
    let faults = world.faults.as_ref().expect("a faulty table");
    // The SDK tries it three times, and so does the table's client.
    faults.plan("TransactWriteItems", "hook#", [Fate::LOST; 9]);
    let first = key.post("/api/webhook", hook()).await;
    assert_eq!(first.status, 503, "{first:?}");
    assert!(faults.is_done());
    let again = key.post("/api/webhook", hook()).await.data(200);
    let rests = confidential(&world, instance).await;
    assert_eq!(again["secret"], json!(rests.secret.reveal()));
    let known = key.post("/api/webhook", hook()).await.data(200);
    assert_eq!(known["secret"], again["secret"]);
    // Another one is not shown it.
    let other = key.with_header("idempotency-key", "two");
    let other = other.post("/api/webhook", hook()).await.data(200);
    assert_eq!(other["secret"], json!(null));
}

#[tokio::test]
async fn a_test_event_that_comes_again_has_the_ids_of_the_first() {
    let world = World::new().await;
    let (_, key) = ready(&world).await;
    key.put("/api/webhook", hook()).await.data(200);
    let test = async |name: &str, kind: &str| {
        let key = key.with_header("idempotency-key", name);
        key.post("/api/webhook/test", json!({ "type": kind })).await
    };
    let news = async || -> Vec<_> { world.news().await.into_iter().filter_map(tried).collect() };
    // The webhook's way is open, and the feed's is not.
    world.queue.cut_off(Some(world.queue_names().queries(0)));
    let first = test("one", "message.received").await;
    assert_eq!(first.code(), "503 UNAVAILABLE");
    world.queue.cut_off(None);
    world.clock.advance(TimeDelta::minutes(1));
    let again = test("one", "message.received").await.data(202);
    let events = world.waiting(&world.queue_names().events()).await;
    assert_eq!(events.len(), 1, "the queue knows the second one by its id");
    let event: Event = payload::decode(&events[0].body).expect("an event");
    assert_eq!(again["eventId"], json!(event.id));
    let told = (again["eventId"].clone(), "message.received".to_owned());
    assert_eq!(news().await, [told]);

    // The feed was told, and nobody knows. What comes twice under one id is shown once.
    world.queue.next_sends([Send::Lost]);
    let first = test("two", "message.edited").await;
    assert_eq!(first.code(), "503 UNAVAILABLE");
    world.clock.advance(TimeDelta::seconds(1));
    let again = test("two", "message.edited").await.data(202);
    let told = (again["eventId"].clone(), "message.edited".to_owned());
    assert_eq!(news().await, [told.clone(), told]);
}

/// An event about a message that was sent to the webhook a minute later.
async fn told(world: &World, instance: InstanceId, message: MessageId, kind: EventType) -> Delivery {
    world.clock.advance(TimeDelta::minutes(1));
    let event = EventId::derived(message.created_at(), &[kind.as_str(), &world.now().to_rfc3339()]);
    let mut delivery = failed(instance, event, world.now());
    delivery.message = Some(message);
    delivery.kind = kind.to_string();
    record(&world.state.table, &delivery).await;
    delivery
}

#[tokio::test]
async fn a_timeline_has_the_deliveries_that_told_of_the_message_in_their_order() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let text = json!({"to": "15550100002", "text": "Hello"});
    let sent = key.send("text", text.clone()).await.data(202);
    let message: MessageId = sent["id"].as_str().expect("an id").parse().expect("an id");
    // Another one of the same millisecond.
    let other = key.send("text", text).await.data(202);
    let other = other["id"].as_str().expect("an id").parse().expect("an id");
    let path = format!("/api/messages/{message}/timeline");
    assert_eq!(key.get(&path).await.data(200)["deliveries"], json!([]));
    let first = told(&world, instance, message, EventType::MessageStatus).await;
    told(&world, instance, other, EventType::MessageStatus).await;
    let second = told(&world, instance, message, EventType::MessageReaction).await;
    let data = key.get(&path).await.data(200);
    let deliveries = data["deliveries"].as_array().expect("a list");
    let ids: Vec<DeliveryId> = deliveries
        .iter()
        .map(|delivery| delivery["id"].as_str().expect("an id").parse().expect("an id"))
        .collect();
    assert_eq!(ids, [first.id, second.id]);
    assert_eq!(deliveries[0]["type"], json!("message.status"));
    assert_eq!(deliveries[1]["attempts"][0]["error"], json!("STATUS"));
    assert_eq!(data["timeline"][0]["status"], json!("queued"));
}
