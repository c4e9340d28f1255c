//! Trying a webhook.

use serde_json::json;
use shared::domain::event::{Event, EventType};
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
