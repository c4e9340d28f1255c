//! Reads that do not see yet what was just written: no event is lost by them.

use chrono::TimeDelta;
use shared::domain::delivery::DeliveryState;
use testbed::relay::{Fate, On, Relay};
use testbed::table::patient;

use crate::receiver::{Does, Receiver};
use crate::world::{World, settings};

/// Reads that are eventually consistent and have this in their keys.
fn recent(key: String) -> On {
    On::operations(["GetItem", "BatchGetItem"])
        .with(key)
        .without("\"ConsistentRead\":true")
}

#[tokio::test]
async fn an_event_right_after_its_webhook_was_made_is_sent() {
    for prefix in ["hook#", "inst#"] {
        let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
        let instance = world.hooked("sales", &receiver.url()).await;
        let relay = Relay::before(&world.database.endpoint).await;
        let state = world.another(&patient(relay.endpoint()), world.queue.clone(), settings());
        let unseen = relay.always(recent(prefix.to_owned()), Fate::UNSEEN);
        let event = world.tell(&instance, "15550100001", "hello").await;
        world
            .invoke(&state, &world.names.events())
            .await
            .expect("a batch");
        assert!(unseen.hits() > 0, "{prefix}");
        assert_eq!(receiver.texts(), ["hello"], "{prefix}");
        assert_eq!(world.progress(&instance, event).await, DeliveryState::Succeeded);
    }
}

#[tokio::test]
async fn a_retry_right_after_its_webhook_was_changed_is_sent_and_its_event_stays_kept() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(500)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let event = world.tell(&instance, "15550100001", "hello").await;
    world.work().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let state = world.another(&patient(relay.endpoint()), world.queue.clone(), settings());
    let unseen = relay.always(recent("hook#".to_owned()), Fate::UNSEEN);
    world.clock.advance(TimeDelta::seconds(6));
    world
        .invoke(&state, &world.names.events_retry())
        .await
        .expect("it is due");
    assert!(unseen.hits() > 0);
    assert_eq!(receiver.heard().len(), 2);
    assert_eq!(world.progress(&instance, event).await, DeliveryState::Pending);
    assert!(world.is_kept(&instance, event).await);
}
