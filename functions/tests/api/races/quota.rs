//! For the month's last messages.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use shared::clock::Clock;
use shared::storage::keys;

use super::{everywhere, storm, with_status};
use crate::support::World;

/// Has so many of the month's 10,000 messages left for thirty who send at once.
async fn send_the_last(world: &World, left: u32) {
    let (user, _, key) = world.ready().await;
    let subscription = user.subscription.parse().expect("an id");
    let table = &world.state.table;
    let before = 10_000 - left;
    table
        .client()
        .update_item()
        .table_name(table.name())
        .set_key(Some(keys::month(subscription, world.clock.now()).attributes()))
        .update_expression("SET messages = :before")
        .expression_attribute_values(":before", AttributeValue::N(before.to_string()))
        .send()
        .await
        .expect("stored");
    let body = || json!({"to": "15550100002", "text": "x"});
    let path = "/api/messages/text";
    let answers = storm(world, (0..30).map(|_| key.post(path, body()))).await;
    let accepted = with_status(&answers, 202, &["QUOTA_EXCEEDED"]).len();
    let counted = world
        .state
        .counters
        .get_used_of_quota(subscription, world.clock.now());
    let (counted, _) = counted.await.expect("read");
    let counted = usize::try_from(counted - before).expect("a number");
    let left = usize::try_from(left).expect("a number");
    // What goes out was counted; what was counted and did not go out is the price of a lost answer.
    let jobs = world.waiting(&world.queue_names().sends(0)).await.len();
    assert!(accepted <= jobs && jobs <= counted && counted <= left);
    if world.faults.is_none() {
        assert_eq!(accepted, left);
    }
    // Nobody is told that the quota is used up while it is not.
    if answers.iter().any(|answer| answer.status == 403) {
        assert_eq!(counted, left);
    }
    for _ in counted..left {
        key.post(path, body()).await.data(202);
    }
    assert_eq!(key.post(path, body()).await.status, 403);
}

#[tokio::test]
async fn the_last_message_goes_out_once() {
    everywhere(async |world| send_the_last(world, 1).await).await;
}

#[tokio::test]
async fn the_last_eight_messages_go_out_once_each() {
    everywhere(async |world| send_the_last(world, 8).await).await;
}
