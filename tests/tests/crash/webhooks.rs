//! Crashes on the way of an event to its webhook, and what happens while nobody lives: each event arrives, in its order, and
//! comes twice only where nobody could know that it had arrived.
//!
//! | fault point | what the endpoint and the table know | what is not stored |
//! | --- | --- | --- |
//! | `after-attempt` | the endpoint has answered | the attempt |
//! | `after-failure-record` | the attempt failed | that it is tried again |
//! | `after-retry` | it is tried again | that it has left the line of its chat |

use serde_json::{Value, json};
use testbed::wait::until;
use tests::flow::{Paired, link};
use tests::hook::Hook;
use tests::process::Process;

use super::World;

/// What is told into a crash, and what comes behind it in its chat.
const FIRST: &str = "through a crash";
const NEXT: &str = "behind it";

impl World {
    /// Pairs an instance whose webhook this is, for messages that come in: the instance, its stack at work, and the secret.
    async fn hooked(&self, hook: &Hook) -> (Paired, Process, String) {
        let (paired, stack) = self.again(self.paired().await).await;
        let received = json!(["message.received"]);
        let more = json!({"headers": {"authorization": "Bearer of theirs"}});
        let secret = hook.attach(&paired, &self.phones, received, &more).await;
        (paired, stack, secret)
    }

    /// The other phone's person does something: what the sandbox says of it.
    async fn says(&self, paired: &Paired, body: Value) -> Value {
        let mut body = body;
        body["to"] = json!(paired.own);
        let path = format!("/admin/phones/{}/send", paired.other);
        self.phones.post(&path, &body).await
    }
}

/// What came of an event that was told into a crash.
struct Came {
    /// How often it came.
    times: usize,
    /// The status of each attempt that is in its log.
    log: Vec<Value>,
    /// All texts, in the order in which they came.
    texts: Vec<String>,
}

/// An event is told, its endpoint answers this, and the process ends at `point`. The next one finds the endpoint well.
async fn told_through(point: &str, status: u16) -> Came {
    let (world, hook) = (World::new().await, Hook::start().await);
    let (paired, stack, secret) = world.hooked(&hook).await;
    stack.stop().await;
    hook.answer(status);
    let (paired, mut stack) = world.with_fault(paired, point).await;
    let (own, other) = (paired.own.clone(), paired.other.clone());
    world.phones.send(&other, &own, FIRST).await;
    stack.until_it_crashes().await;
    assert_eq!(hook.texts(|text| text == FIRST).len(), 1, "it was tried");
    hook.answer(204);
    let (paired, stack) = world.again(paired).await;
    world.phones.send(&other, &own, NEXT).await;
    hook.until(2, |event| event["data"]["text"] == FIRST).await;
    hook.until(1, |event| event["data"]["text"] == NEXT).await;
    let told: Vec<_> = hook
        .heard()
        .into_iter()
        .filter(|heard| heard.event()["data"]["text"] == FIRST)
        .collect();
    let id = told[0].event()["id"].as_str().expect("an id").to_owned();
    for heard in &told {
        assert!(heard.is_genuine(&secret));
        assert_eq!(heard.headers["webhook-id"], *id, "always under its id");
    }
    let path = format!("/api/instances/{}/webhook/deliveries?event={id}", paired.instance);
    let delivery = until("the log of it", async || {
        let deliveries = paired.user.get(&path).await.data(200);
        let delivery = deliveries[0].clone();
        (delivery["state"] == "succeeded").then_some(delivery)
    })
    .await;
    // Whatever is in hand is ended, and nothing more is there for the next one.
    stack.stop().await;
    let (_, stack) = world.again(paired).await;
    stack.stop().await;
    let attempts = delivery["attempts"].as_array().expect("a list");
    Came {
        times: hook.texts(|text| text == FIRST).len(),
        log: attempts.iter().map(|attempt| attempt["status"].clone()).collect(),
        texts: hook.texts(|text| [FIRST, NEXT].contains(&text)),
    }
}

/// Nobody knows any more that the endpoint has it: it comes once more, before what is behind it.
#[tokio::test]
async fn after_an_attempt_that_went_well() {
    let came = told_through("after-attempt", 204).await;
    assert_eq!(came.texts, [FIRST, FIRST, NEXT]);
    assert_eq!((came.times, came.log), (2, vec![json!(204)]));
}

/// An attempt that nobody knows of is not counted.
#[tokio::test]
async fn after_an_attempt_that_failed() {
    let came = told_through("after-attempt", 500).await;
    assert_eq!(came.texts, [FIRST, FIRST, NEXT]);
    assert_eq!((came.times, came.log), (2, vec![json!(204)]));
}

/// The log has the attempt. It is not made again at once, and the event is tried again all the same.
#[tokio::test]
async fn after_the_record_of_a_failure() {
    let came = told_through("after-failure-record", 500).await;
    assert_eq!((came.times, came.log), (2, vec![json!(500), json!(204)]));
    assert_eq!(came.texts.len(), 3, "what is behind it comes once");
}

/// It is in both queues. Whoever comes second finds it delivered.
#[tokio::test]
async fn after_the_retry_is_queued() {
    let came = told_through("after-retry", 500).await;
    assert_eq!((came.times, came.log), (2, vec![json!(500), json!(204)]));
    assert_eq!(came.texts.len(), 3, "what is behind it comes once");
}

#[tokio::test]
async fn what_happens_while_nobody_lives_is_told_once_and_in_order() {
    let (world, hook) = (World::new().await, Hook::start().await);
    let (paired, stack, _) = world.hooked(&hook).await;
    stack.kill().await;
    let texts: Vec<_> = (1..=5).map(|n| format!("missed {n}")).collect();
    for text in &texts {
        world.phones.send(&paired.other, &paired.own, text).await;
    }
    let (paired, stack) = world.again(paired).await;
    world.phones.send(&paired.other, &paired.own, NEXT).await;
    hook.until(1, |event| event["data"]["text"] == NEXT).await;
    stack.stop().await;
    assert_eq!(hook.texts(|text| text.starts_with("missed")), texts);
}

/// All of it comes in one go.
#[tokio::test]
async fn what_was_said_changed_and_taken_back_is_told_in_that_order() {
    let (world, hook) = (World::new().await, Hook::start().await);
    let (paired, stack, _) = world.hooked(&hook).await;
    let path = format!("/api/instances/{}/webhook", paired.instance);
    let everything = json!({"url": hook.url(), "events": ["*"]});
    paired.user.put(&path, everything).await.data(200);
    stack.kill().await;
    let said = world
        .says(&paired, json!({"kind": "text", "text": "first"}))
        .await;
    for body in [
        json!({"kind": "edit", "messageId": said["id"], "text": "second"}),
        json!({"kind": "revoke", "messageId": said["id"]}),
        json!({"kind": "reaction", "messageId": said["id"], "emoji": "❤"}),
    ] {
        world.says(&paired, body).await;
    }
    let (paired, stack) = world.again(paired).await;
    world.phones.send(&paired.other, &paired.own, NEXT).await;
    hook.until(1, |event| event["data"]["text"] == NEXT).await;
    stack.stop().await;
    let told = hook.events(|event| event["data"]["text"] != "there you are");
    let told = told.iter().filter_map(|event| {
        let kind = event["type"].as_str()?;
        let text = event["data"]["text"].as_str();
        let is_old = text.is_some_and(|text| text.starts_with("are you there"));
        (kind.starts_with("message.") && !is_old).then_some((kind, text))
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            ("message.received", Some("first")),
            ("message.edited", Some("second")),
            ("message.revoked", None),
            ("message.reaction", None),
            ("message.received", Some(NEXT)),
        ]
    );
}

/// Neither a crash nor another phone changes what somebody has set.
#[tokio::test]
async fn a_webhooks_settings_survive_a_crash_and_another_phone() {
    let (world, hook) = (World::new().await, Hook::start().await);
    let (paired, stack, secret) = world.hooked(&hook).await;
    let instance = format!("/api/instances/{}", paired.instance);
    let path = format!("{instance}/webhook");
    let set = paired.user.get(&path).await.data(200);
    assert_eq!(
        (&set["url"], &set["events"], &set["headerNames"]),
        (
            &json!(hook.url()),
            &json!(["message.received"]),
            &json!(["authorization"])
        )
    );
    stack.kill().await;
    let (mut paired, stack) = world.again(paired).await;
    assert_eq!(paired.user.get(&path).await.data(200), set);

    let logout = format!("{instance}/logout");
    paired.user.post(&logout, ()).await.data(202);
    paired.user.until_status(&paired.instance, "LOGGED_OUT").await;
    paired.own = world.phones.create("Another").await;
    link(&paired, &world.phones).await;
    assert_eq!(paired.user.get(&path).await.data(200), set);
    let before = hook.heard().len();
    paired.key.send_text(&paired.other, "from another number").await;
    world
        .phones
        .until_shown(&paired.other, "from another number")
        .await;
    world.phones.send(&paired.other, &paired.own, NEXT).await;
    hook.until(1, |event| event["data"]["text"] == NEXT).await;
    stack.stop().await;
    let heard = hook.heard().split_off(before);
    assert_eq!(heard.len(), 1, "nothing that is not wanted");
    assert!(heard[0].is_genuine(&secret));
    assert_eq!(heard[0].headers["authorization"], "Bearer of theirs");
}
