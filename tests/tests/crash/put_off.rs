//! A crash between a message's entry in the due index and the end of its job.

use chrono::TimeDelta;
use serde_json::json;
use shared::clock::{Clock as _, SystemClock};
use tests::flow::{Paired, unique};

use super::{World, ends_well};

/// For how long the account may begin no chats: so long that the message waits for it, and is put off.
const LOCKED_SECONDS: i64 = 4;

/// The message has a job and an entry, and goes out once.
#[tokio::test]
async fn a_message_that_is_put_off_goes_out_once() {
    let world = World::new().await;
    let (paired, mut stack) = world.paired_with_fault("after-put-off").await;
    let stranger = world.phones.create("Stranger").await;
    let lock = format!("/admin/phones/{}/reachout-lock", paired.own);
    world
        .phones
        .post(&lock, &json!({"seconds": LOCKED_SECONDS}))
        .await;
    let text = format!("Put off through a crash {}", unique());
    // It is tried again when half of its time is over at the latest.
    let expires_at = SystemClock.now() + TimeDelta::seconds(LOCKED_SECONDS + 40);
    let body = json!({"to": stranger, "text": text, "expiresAt": expires_at.to_rfc3339()});
    let accepted = paired.key.send("text", body).await.data(202);
    let message = accepted["id"].as_str().expect("an id");
    stack.until_it_crashes().await;
    assert!(world.phones.inbox(&stranger).await.is_empty());
    let paired = Paired {
        other: stranger.clone(),
        ..paired
    };
    ends_well(&world, paired, &text, message).await;
    let shown = world.phones.until_shown(&stranger, &text).await;
    assert_eq!(shown["copies"], 1);
}
