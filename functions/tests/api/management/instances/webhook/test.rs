//! Trying a webhook.

use serde_json::json;
use shared::domain::event::{Event, EventType};
use shared::domain::news::{Done, News};
use shared::domain::payload;
use shared::ids::DeliveryId;
use shared::sealed;

use super::{WEBHOOK, hook};
use crate::support::World;

const TEST: &str = "/api/instances/sales/webhook/test";

#[tokio::test]
async fn a_test_event_goes_the_way_of_all_events() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    assert_eq!(
        user.post(TEST, ()).await.error(),
        "404 NOT_FOUND: There is no such webhook"
    );
    user.put(WEBHOOK, hook()).await.data(200);
    let data = user.post(TEST, ()).await.data(202);
    let waiting = world.waiting(&world.queue_names().events()).await;
    assert_eq!(waiting.len(), 1);
    let event: Event = payload::decode(&waiting[0].body).expect("an event");
    assert_eq!(event.kind, EventType::WebhookTest);
    assert_eq!(event.needs, EventType::WebhookTest.needs());
    assert_eq!((event.instance, event.timestamp), (instance, world.now()));
    assert_eq!(
        data,
        json!({"eventId": event.id, "deliveryId": DeliveryId::of(event.id)})
    );
    let told = sealed::open::<serde_json::Value>(&world.state.sealer, instance, &event.id, &event.data);
    assert_eq!(
        told.await.expect("it opens"),
        json!({"message": "This is a test of your webhook"})
    );
    let again = user.post(TEST, ()).await.data(202);
    assert_ne!(again["eventId"], data["eventId"], "each is an event of its own");
}

#[tokio::test]
async fn a_webhook_that_is_switched_off_is_not_tried() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let mut off = hook();
    off["enabled"] = json!(false);
    user.put(WEBHOOK, off).await.data(200);
    let error = "409 CONFLICT: The webhook is switched off: set it again, with `enabled` true";
    assert_eq!(user.post(TEST, ()).await.error(), error);
    let from = json!({"from": "2025-12-31T00:00:00Z"});
    let replay = user.post("/api/instances/sales/webhook/replay", from).await;
    assert_eq!(replay.error(), error);
}

#[tokio::test]
async fn an_event_of_any_type_goes_to_the_webhook_that_wants_it_and_to_the_feed() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    let received = user
        .post(TEST, json!({"type": "message.received"}))
        .await
        .data(202);
    let waiting = world.waiting(&world.queue_names().events()).await;
    assert_eq!(waiting.len(), 1);
    let event: Event = payload::decode(&waiting[0].body).expect("an event");
    assert_eq!(event.kind, EventType::MessageReceived);
    assert_eq!(
        received,
        json!({"eventId": event.id, "deliveryId": DeliveryId::of(event.id)})
    );
    let data = sealed::open::<serde_json::Value>(&world.state.sealer, instance, &event.id, &event.data);
    assert_eq!(data.await.expect("it opens")["text"], json!("See you at eight"));

    // The webhook names no other type.
    let edited = user.post(TEST, json!({"type": "message.edited"})).await.data(202);
    assert_eq!(edited["deliveryId"], json!(null));
    assert!(world.waiting(&world.queue_names().events()).await.is_empty());
    let mut told: Vec<_> = world.news().await.into_iter().filter_map(tried).collect();
    told.sort_by(|(_, one), (_, other)| one.cmp(other));
    assert_eq!(
        told,
        [
            (edited["eventId"].clone(), "message.edited".to_owned()),
            (received["eventId"].clone(), "message.received".to_owned())
        ]
    );
}

/// The news of an event that was tried: its id and type.
pub fn tried(news: News) -> Option<(serde_json::Value, String)> {
    match news.done {
        Done::Tried { event, .. } => Some((json!(news.id), event)),
        Done::InstanceCreated { .. } | Done::SubscriptionChanged { .. } => None,
    }
}

/// Whoever hears 202 may wait for the event.
#[tokio::test]
async fn a_feed_that_cannot_be_told_is_an_error() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    user.put(WEBHOOK, hook()).await.data(200);
    world.queue.cut_off(Some(world.queue_names().queries(0)));
    for kind in ["message.received", "message.edited"] {
        let refused = user.post(TEST, json!({ "type": kind })).await;
        assert_eq!(refused.code(), "503 UNAVAILABLE", "{kind}");
        assert_eq!(refused.header("retry-after"), "2", "{kind}");
    }
    // It is not for the feed.
    user.post(TEST, ()).await.data(202);
    world.queue.cut_off(None);
    user.post(TEST, json!({"type": "message.edited"})).await.data(202);
}

#[tokio::test]
async fn with_a_type_no_webhook_is_needed() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let typed = json!({"type": "webhook.test"});
    let alone = user.post(TEST, typed.clone()).await.data(202);
    assert_eq!(alone["deliveryId"], json!(null));
    assert!(world.waiting(&world.queue_names().events()).await.is_empty());
    // A webhook gets it, though it names it not.
    user.put(WEBHOOK, hook()).await.data(200);
    assert!(user.post(TEST, typed).await.data(202)["deliveryId"].is_string());
}

#[tokio::test]
async fn what_is_no_type_is_refused() {
    let world = World::new().await;
    let (user, _, _) = world.ready().await;
    let all: Vec<_> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
    let rule = format!("type must be one of {}", all.join(", "));
    for kind in [
        json!("message.levitated"),
        json!("message-received"),
        json!("*"),
        json!(7),
    ] {
        let refused = user.post(TEST, json!({ "type": kind })).await;
        assert_eq!(refused.code(), "400 VALIDATION_ERROR");
        assert_eq!(refused.faults(), [&*rule], "{kind}");
    }
    let none = user.post(TEST, json!({"type": null})).await;
    assert_eq!(none.faults(), ["type must not be null"]);
}
