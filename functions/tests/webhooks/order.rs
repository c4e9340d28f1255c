//! Order within a chat, and what leaves it.

use chrono::TimeDelta;
use shared::domain::delivery::DeliveryState;

use crate::receiver::{Does, Receiver};
use crate::world::World;

#[tokio::test]
async fn the_events_of_a_chat_come_in_their_order() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let mut wanted = Vec::new();
    for n in 0..25 {
        for chat in 1..=3 {
            let text = format!("{chat}: {n}");
            world.tell(&instance, &format!("1555010000{chat}"), &text).await;
            wanted.push(text);
        }
    }
    world.work().await;
    let texts = receiver.texts();
    assert_eq!(texts.len(), wanted.len());
    for chat in 1..=3 {
        let of_chat = |texts: &[String]| -> Vec<String> {
            let start = format!("{chat}: ");
            texts
                .iter()
                .filter(|text| text.starts_with(&start))
                .cloned()
                .collect()
        };
        assert_eq!(of_chat(&texts), of_chat(&wanted), "{chat}");
    }
}

/// What failed comes later; what is behind it in its chat does not wait for it.
#[tokio::test]
async fn an_event_that_failed_leaves_the_line() {
    let world = World::new().await;
    let receiver = Receiver::with(|heard| Does::status(if heard.text() == "bad" { 500 } else { 200 })).await;
    let instance = world.hooked("sales", &receiver.url()).await;
    let mut events = Vec::new();
    for text in ["one", "bad", "two", "three"] {
        events.push(world.tell(&instance, "15550100001", text).await);
    }
    world.work().await;
    assert_eq!(receiver.texts(), ["one", "bad", "two", "three"]);
    assert_eq!(world.progress(&instance, events[1]).await, DeliveryState::Pending);
    for event in [events[0], events[2], events[3]] {
        assert_eq!(world.progress(&instance, event).await, DeliveryState::Succeeded);
    }
    receiver.now(Does::status(200));
    world.pass(TimeDelta::seconds(6), TimeDelta::seconds(1)).await;
    assert_eq!(receiver.texts(), ["one", "bad", "two", "three", "bad"]);
    assert_eq!(world.left().await, (0, 0));
}
