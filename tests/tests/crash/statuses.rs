//! Crashes on the way of a status: those who may see it see it once.

use serde_json::json;
use testbed::caller::Bases;
use tests::flow::{Paired, exchange, save_contact, unique};

use super::World;

impl World {
    /// A paired instance with a contact, who is the other person.
    async fn paired_with_contact(&self) -> Paired {
        let paired = self.paired().await;
        let stack = self.start(&[]).await;
        let paired = paired.at(&Bases::one(&stack.api));
        paired.user.until_status(&paired.instance, "CONNECTED").await;
        save_contact(&paired, &self.phones, &paired.other).await;
        stack.stop().await;
        paired
    }
}

async fn shown_through_a_crash_at(point: &str) {
    let world = World::new().await;
    let paired = world.paired_with_contact().await;
    let (paired, mut stack) = world.with_fault(paired, point).await;
    let text = format!("Open through a crash {point} {}", unique());
    let body = json!({"kind": "text", "text": text});
    let accepted = paired.key.send("status", body).await.data(202);
    let message = accepted["id"].as_str().expect("an id");
    stack.until_it_crashes().await;

    let (paired, stack) = world.again(paired).await;
    world.phones.until_shown(&paired.other, &text).await;
    world.phones.read_all(&paired.other).await;
    let read = paired.key.until_state(message, "read").await;
    assert_eq!(read["receipts"], json!({"delivered": 1, "read": 1, "of": 1}));
    // Its lane goes on, and so does the rest.
    let next = format!("And another {}", unique());
    let body = json!({"kind": "text", "text": next});
    paired.key.send("status", body).await.data(202);
    world.phones.until_shown(&paired.other, &next).await;
    exchange(&paired, &world.phones).await;
    let shown = world.phones.inbox(&paired.other).await;
    let statuses: Vec<_> = shown
        .iter()
        .filter(|shown| shown["chat"] == "status@broadcast")
        .filter_map(|shown| shown["text"].as_str())
        .collect();
    assert_eq!(statuses, [text, next], "each once: {shown:?}");
    stack.stop().await;
}

#[tokio::test]
async fn after_the_wire_before_the_acknowledgement() {
    shown_through_a_crash_at("after-wire").await;
}

#[tokio::test]
async fn after_the_acknowledgement_before_the_store() {
    shown_through_a_crash_at("after-ack").await;
}

#[tokio::test]
async fn after_the_store_before_the_delete() {
    shown_through_a_crash_at("after-store").await;
}
