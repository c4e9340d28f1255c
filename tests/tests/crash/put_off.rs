//! A crash between a message's entry in the due index and the end of its job.

use chrono::TimeDelta;
use daemon::whatsapp::NETWORK;
use serde_json::json;
use shared::clock::{Clock as _, SystemClock};
use shared::storage::instances::Instances;
use shared::storage::schedule::Schedule;
use testbed::table::patient;
use testbed::wait::until;
use tests::flow::{Paired, exchange, unique};
use tests::inside;

use super::{World, ends_well};

/// For how long the account may begin no chats. The crash comes long before that is over, and then it may again.
const LOCKED_SECONDS: i64 = 30;

/// The message has a job and an entry, and goes out once.
#[tokio::test]
async fn a_message_that_is_put_off_goes_out_once() {
    let world = World::new().await;
    let (paired, mut stack) = world.paired_with_fault("after-put-off").await;
    let instance = inside::instance(&paired).await;
    let stranger = world.phones.create("Stranger").await;
    let lock = format!("/admin/phones/{}/reachout-lock", paired.own);
    world
        .phones
        .post(&lock, &json!({"seconds": LOCKED_SECONDS}))
        .await;
    let text = format!("Put off through a crash {}", unique());
    // Its entry is due when half of its time is over at the latest.
    let expires_at = SystemClock.now() + TimeDelta::seconds(3 * LOCKED_SECONDS);
    let body = json!({"to": stranger, "text": text, "expiresAt": expires_at.to_rfc3339()});
    let accepted = paired.key.send("text", body).await.data(202);
    let message = accepted["id"].as_str().expect("an id");
    stack.until_it_crashes().await;
    assert!(world.phones.inbox(&stranger).await.is_empty());
    world.phones.post(&lock, &json!({"seconds": 0})).await;
    let paired = Paired {
        other: stranger.clone(),
        ..paired
    };
    ends_well(&world, paired.clone(), &text, message).await;

    // Its entry comes as well, and its lane goes on behind that.
    let (paired, stack) = world.again(paired).await;
    let table = patient(&stack.database);
    let found = Instances::new(table.clone()).get_of_any(instance).await;
    let shard = found.expect("read").expect("it is there").shard;
    let schedule = Schedule::new(table);
    until("the end of its entry", async || {
        let first = schedule.first(NETWORK, shard).await.expect("read");
        first.is_none().then_some(())
    })
    .await;
    exchange(&paired, &world.phones).await;
    stack.stop().await;
    let shown = world.phones.inbox(&stranger).await;
    let copies: Vec<_> = shown
        .iter()
        .filter(|shown| shown["text"] == text)
        .map(|shown| &shown["copies"])
        .collect();
    assert_eq!(copies, [&json!(1)], "{shown:?}");
}
