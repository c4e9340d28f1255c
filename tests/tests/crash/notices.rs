//! What happens in groups while no stack runs is told once it does, under ids of its own.

use serde_json::json;
use shared::domain::event::EventType;
use tests::flow::exchange;

use super::events::of_type;
use crate::World;

#[tokio::test]
async fn what_a_group_does_while_nobody_is_connected_is_told_once() {
    let world = World::new().await;
    let (paired, _) = world.paired_and_followed().await;
    let founded = json!({"subject": "Engines", "participants": [paired.own]});
    let other = format!("/admin/phones/{}", paired.other);
    let group = world.phones.post(&format!("{other}/groups"), &founded).await;
    let path = format!("{other}/groups/{}", group["id"].as_str().expect("a group"));
    for subject in ["Steam engines", "Engines again"] {
        world.phones.patch(&path, &json!({"subject": subject})).await;
    }
    let (paired, stack) = world.again(paired).await;
    // What was there first comes first.
    exchange(&paired, &world.phones).await;
    stack.stop().await;
    let events = world.left().await;
    assert_eq!(of_type(&events, EventType::GroupParticipants), [1], "{events:?}");
    assert_eq!(of_type(&events, EventType::GroupUpdated), [1, 1], "{events:?}");
}
