//! Crashes at named points of a message's way: after a restart it has been sent, is shown
//! once, and has its final state. A backup is like a crash at its moment: `backup` has what holds of it.

mod backup;
mod events;
mod files;
mod notices;
mod previews;
mod put_off;
mod scheduled;
mod statuses;
mod webhooks;

use std::path::Path;

use reqwest::Method;
use sandbox::{Config, Sandbox};
use serde_json::{Value, json};
use testbed::caller::{Bases, Caller};
use testbed::wait::until;
use tests::flow::{Paired, exchange, pair, stats, unique};
use tests::phones::Phones;
use tests::process::Process;

const STACK: &str = env!("CARGO_BIN_EXE_waxwing-under-test");

/// A stack with a sandbox outside of it, which a crash leaves alone.
struct World {
    data: tempfile::TempDir,
    sandbox: Sandbox,
    phones: Phones,
}

impl World {
    async fn new() -> Self {
        let address = "127.0.0.1:0".parse().expect("an address");
        let sandbox = Sandbox::start(Config::new(address)).await.expect("a sandbox");
        let phones = Phones::new(&sandbox.admin_url());
        Self {
            data: tempfile::tempdir().expect("a directory"),
            sandbox,
            phones,
        }
    }

    async fn start(&self, variables: &[(&str, &str)]) -> Process {
        self.start_on(self.data.path(), variables).await
    }

    /// The same on another folder.
    async fn start_on(&self, data: &Path, variables: &[(&str, &str)]) -> Process {
        let (url, ca) = (self.sandbox.ws_url(), self.data.path().join("ca.pem"));
        std::fs::write(&ca, self.sandbox.ca_pem()).expect("written");
        let ca = ca.to_str().expect("a path");
        let arguments = ["--sandbox-url", &url, "--sandbox-ca", ca, "--private-addresses"];
        Process::start(STACK, data, &arguments, variables).await
    }

    /// Starts the stack again after a crash, and waits until the instance is connected.
    async fn again(&self, paired: Paired) -> (Paired, Process) {
        let stack = self.start(&[]).await;
        let paired = paired.at(&Bases::one(&stack.api));
        paired.user.until_status(&paired.instance, "CONNECTED").await;
        (paired, stack)
    }

    /// Pairs an instance, and stops the stack.
    async fn paired(&self) -> Paired {
        let stack = self.start(&[]).await;
        let paired = pair(&Bases::one(&stack.api), &self.phones).await;
        exchange(&paired, &self.phones).await;
        stack.stop().await;
        paired
    }

    /// Pairs an instance, then starts the stack again with a crash at `point`.
    async fn paired_with_fault(&self, point: &str) -> (Paired, Process) {
        let paired = self.paired().await;
        self.with_fault(paired, point).await
    }

    /// Starts the stack again with a crash at `point`.
    async fn with_fault(&self, paired: Paired, point: &str) -> (Paired, Process) {
        let stack = self.start(&[("WAXWING_FAULT", point)]).await;
        let paired = paired.at(&Bases::one(&stack.api));
        paired.user.until_status(&paired.instance, "CONNECTED").await;
        (paired, stack)
    }
}

/// The message's end after the crash: shown once, read, and the queue is empty for the
/// next.
async fn ends_well(world: &World, paired: Paired, text: &str, message: &str) {
    let stack = world.start(&[]).await;
    let paired = paired.at(&Bases::one(&stack.api));
    paired.user.until_status(&paired.instance, "CONNECTED").await;
    world.phones.until_shown(&paired.other, text).await;
    // A receipt is acknowledged to WhatsApp as it arrives, so the one that was under way in
    // the crash is gone; the next one stands for it.
    world.phones.read_all(&paired.other).await;
    paired.key.until_state(message, "read").await;
    // What comes after it in its lane is not held up, and proves that it is done with.
    exchange(&paired, &world.phones).await;
    let shown = world.phones.inbox(&paired.other).await;
    let same = shown.iter().filter(|shown| shown["text"] == text).count();
    assert_eq!(same, 1, "shown once: {shown:?}");
    let stats = stats(&paired.key).await;
    assert_eq!(stats["totals"]["failed"], 0, "{stats}");
    stack.stop().await;
}

/// Sends a text into a crash and follows it to its end; answers whether the crash cut off
/// the API's answer. Then the caller has no promise, tries again with the same idempotency
/// key, and gets one message. The stack is one process: its API goes with its daemon.
async fn was_cut_short_by_a_crash_at(point: &str) -> bool {
    was_cut_short(point, json!({})).await
}

/// The same for a text with these options.
async fn was_cut_short(point: &str, options: Value) -> bool {
    let world = World::new().await;
    let (paired, mut stack) = world.paired_with_fault(point).await;
    let text = format!("Through a crash {point} {}", unique());
    let mut body = json!({"to": paired.other, "text": text});
    let members = body.as_object_mut().expect("an object");
    members.extend(options.as_object().expect("an object").clone());
    let send = async |key: &Caller| {
        let key = key.with_header("idempotency-key", "the-same-key");
        let answer = key.try_request(Method::POST, "/api/messages/text", &body);
        let data = answer.await?.data(202);
        reqwest::Result::Ok(data["id"].as_str().expect("an id").to_owned())
    };
    let first = send(&paired.key).await;
    stack.until_it_crashes().await;
    let cut_short = first.is_err();
    let (paired, message) = if let Ok(message) = first {
        (paired, message)
    } else {
        let stack = world.start(&[]).await;
        let paired = paired.at(&Bases::one(&stack.api));
        paired.user.until_status(&paired.instance, "CONNECTED").await;
        let message = send(&paired.key).await.expect("the API answers");
        stack.stop().await;
        (paired, message)
    };
    ends_well(&world, paired, &text, &message).await;
    cut_short
}

#[tokio::test]
async fn after_the_wire_before_the_acknowledgement() {
    was_cut_short_by_a_crash_at("after-wire").await;
}

#[tokio::test]
async fn after_the_acknowledgement_before_the_store() {
    was_cut_short_by_a_crash_at("after-ack").await;
}

#[tokio::test]
async fn after_the_store_before_the_delete() {
    was_cut_short_by_a_crash_at("after-store").await;
}

/// The recipient has seen that somebody types.
#[tokio::test]
async fn while_somebody_types() {
    was_cut_short("while-typing", json!({"typingMs": 500})).await;
}

/// The process that accepts dies behind the first of three messages. The same request goes on with the others.
#[tokio::test]
async fn in_the_middle_of_many_messages() {
    let world = World::new().await;
    let (paired, mut stack) = world.paired_with_fault("after-queue-write").await;
    let texts = ["one", "two", "three"].map(|text| format!("{text} {}", unique()));
    let messages = texts
        .iter()
        .map(|text| json!({"kind": "text", "to": paired.other, "text": text}));
    let body = json!({"messages": messages.collect::<Vec<_>>()});
    let send = async |key: &Caller| {
        let key = key.with_header("idempotency-key", "the-same-key");
        key.try_request(Method::POST, "/api/messages/bulk", &body).await
    };
    assert!(send(&paired.key).await.is_err(), "the crash cuts off its answer");
    stack.until_it_crashes().await;
    let stack = world.start(&[]).await;
    let paired = paired.at(&Bases::one(&stack.api));
    paired.user.until_status(&paired.instance, "CONNECTED").await;
    let first = send(&paired.key).await.expect("the API answers").data(200);
    assert_eq!(first["accepted"], 3, "{first}");
    let again = send(&paired.key).await.expect("the API answers").data(200);
    assert_eq!(again, first);
    for result in first["results"].as_array().expect("a list") {
        let message = result["message"]["id"].as_str().expect("an id");
        paired.key.until_state(message, "delivered").await;
    }
    let shown = world.phones.inbox(&paired.other).await;
    let shown: Vec<_> = shown
        .iter()
        .filter_map(|shown| shown["text"].as_str())
        .filter(|shown| texts.iter().any(|text| text == shown))
        .collect();
    assert_eq!(shown, texts);
    stack.stop().await;
}

/// The process that accepts dies between queue and answer.
#[tokio::test]
async fn after_the_queue_write() {
    assert!(was_cut_short_by_a_crash_at("after-queue-write").await);
}

/// Asks for a change into a crash, and for the same under the same key after the restart: status and code, or the
/// outcome of a time-out.
async fn blocked_through_a_crash_at(point: &str) -> (u16, String) {
    let world = World::new().await;
    let (paired, mut stack) = world.paired_with_fault(point).await;
    let path = format!("/api/contacts/{}/block", paired.other);
    let block = async |key: &Caller| {
        let key = key.with_header("idempotency-key", "the-same-key");
        key.try_request(Method::POST, &path, ()).await
    };
    assert!(block(&paired.key).await.is_err(), "the crash cuts off its answer");
    stack.until_it_crashes().await;
    let stack = world.start(&[]).await;
    let paired = paired.at(&Bases::one(&stack.api));
    paired.user.until_status(&paired.instance, "CONNECTED").await;
    // Until it is certain that nobody begins the first one any more, there may be no time left for another.
    let answer = until("an answer", async || {
        let answer = block(&paired.key).await.expect("the API answers");
        (answer.status != 503).then_some(answer)
    })
    .await;
    let outcome = answer.json()["error"]["details"]["outcome"].clone();
    let said = outcome.as_str().unwrap_or_default().to_owned();
    stack.stop().await;
    (answer.status, said)
}

/// Nothing was begun, and nobody has it any more: the same request is the first one again.
#[tokio::test]
async fn a_question_that_was_deleted_and_not_begun_is_asked_again() {
    let end = blocked_through_a_crash_at("after-question-delete").await;
    assert_eq!(end, (200, String::new()));
}

/// Something was begun: it is not done again, and nobody says that it was not done.
#[tokio::test]
async fn a_question_that_was_begun_stays_in_doubt() {
    let end = blocked_through_a_crash_at("after-begin").await;
    assert_eq!(end, (504, "unknown".to_owned()));
}

/// What a dead daemon said of a connection, or of a code, is not repeated after a restart.
#[tokio::test]
async fn a_restart_is_honest_from_the_first_request_on() {
    let World {
        data,
        sandbox,
        phones,
    } = World::new().await;
    let arguments = ["--sandbox-url", &sandbox.ws_url()];
    let stack = Process::start(STACK, data.path(), &arguments, &[]).await;
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    stack.kill().await;
    // Nothing can be connected any more.
    sandbox.shutdown().await;
    let stack = Process::start(STACK, data.path(), &arguments, &[]).await;
    let paired = paired.at(&Bases::one(&stack.api));
    let path = format!("/api/instances/{}/status", paired.instance);
    let user = &paired.user;
    let status = user.get(&path).await.data(200);
    assert_eq!(status["status"], "RECONNECTING", "{status}");
    // And it is served at once: its new owner tells of it, without waiting for the dead one.
    until("the new owner's word", async || {
        let status = user.get(&path).await.data(200);
        assert_eq!(status["status"], "RECONNECTING", "{status}");
        (!status["lastError"].is_null()).then_some(())
    })
    .await;
    stack.kill().await;
}
