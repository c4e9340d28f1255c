//! Crashes on the way of a message that is due later: it goes out once, when it is due or when somebody lives again.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use shared::clock::{Clock as _, SystemClock};
use testbed::caller::{Bases, Caller};
use testbed::wait::until;
use tests::flow::unique;

use super::{World, ends_well};

/// A time that is near, and in the future still when a request is read, on the busiest machine.
fn soon() -> DateTime<Utc> {
    SystemClock.now() + TimeDelta::seconds(8)
}

/// A request to send a text at this time.
fn body(to: &str, text: &str, at: DateTime<Utc>) -> Value {
    json!({"to": to, "text": text, "scheduledAt": at.to_rfc3339()})
}

fn id(accepted: &Value) -> String {
    assert_eq!(accepted["status"], "scheduled");
    accepted["id"].as_str().expect("an id").to_owned()
}

async fn until_past(at: DateTime<Utc>) {
    until("its time", async || (SystemClock.now() > at).then_some(())).await;
}

/// The daemon dies in the middle of handing a message over.
async fn handed_over_through_a_crash_at(point: &str) {
    let world = World::new().await;
    let (paired, mut stack) = world.paired_with_fault(point).await;
    let text = format!("Due through a crash {point} {}", unique());
    let body = body(&paired.other, &text, soon());
    let message = id(&paired.key.send("text", body).await.data(202));
    stack.until_it_crashes().await;
    ends_well(&world, paired, &text, &message).await;
}

#[tokio::test]
async fn after_its_record_says_that_it_is_queued() {
    handed_over_through_a_crash_at("after-due-state").await;
}

#[tokio::test]
async fn after_its_job_is_queued() {
    handed_over_through_a_crash_at("after-due-send").await;
}

/// The process that accepts dies; the caller tries again under the same key, perhaps after the message's time.
async fn accepted_through_a_crash_at(point: &str) {
    let world = World::new().await;
    let (paired, mut stack) = world.paired_with_fault(point).await;
    let text = format!("Accepted through a crash {point} {}", unique());
    let body = body(&paired.other, &text, soon());
    let send = async |key: &Caller| {
        let key = key.with_header("idempotency-key", "the-same-key");
        key.try_request(Method::POST, "/api/messages/text", &body).await
    };
    assert!(send(&paired.key).await.is_err(), "the crash cuts off its answer");
    stack.until_it_crashes().await;
    let stack = world.start(&[]).await;
    let paired = paired.at(&Bases::one(&stack.api));
    let message = id(&send(&paired.key).await.expect("the API answers").data(202));
    stack.stop().await;
    ends_well(&world, paired, &text, &message).await;
}

#[tokio::test]
async fn after_its_record_before_its_entry() {
    accepted_through_a_crash_at("after-scheduled-record").await;
}

#[tokio::test]
async fn after_its_entry_before_the_answer() {
    accepted_through_a_crash_at("after-scheduled").await;
}

#[tokio::test]
async fn a_minute_that_passes_while_nobody_lives_is_made_up_for() {
    let world = World::new().await;
    let paired = world.paired().await;
    let stack = world.start(&[]).await;
    let paired = paired.at(&Bases::one(&stack.api));
    let (text, at) = (format!("While nobody lived {}", unique()), soon());
    let body = body(&paired.other, &text, at);
    let message = id(&paired.key.send("text", body).await.data(202));
    stack.kill().await;
    until_past(at).await;
    ends_well(&world, paired, &text, &message).await;
}
