//! Questions of an instance go their own way: what waits to be sent is not in it.

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use testbed::caller::{Bases, Caller};
use testbed::wait::until;
use tests::flow::pair;
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

/// How many wait. The daemon's own tests have ten thousand, which a month of this tier has.
const SENDS: usize = 1_000;

/// Messages of one request.
const OF_BULK: usize = 100;

/// Requests at once.
const AT_ONCE: usize = 2;

/// Queues texts, until all of them are accepted. They go to `people` in turn.
async fn queue(key: &Caller, people: &[String]) -> Vec<String> {
    let bulks = stream::iter(0..SENDS / OF_BULK).map(|bulk| async move {
        let texts = (0..OF_BULK).map(|n| {
            let n = bulk * OF_BULK + n;
            json!({"kind": "text", "to": people[n % people.len()], "text": format!("number {n}")})
        });
        let body = json!({"messages": texts.collect::<Vec<_>>()});
        // What a slow machine had no time for goes on under the same key.
        let key = key.with_header("idempotency-key", &format!("bulk-{bulk}"));
        let accepted = until("a hundred accepted texts", async || {
            let told = key.send("bulk", &body).await.data(200);
            (told["accepted"] == OF_BULK).then_some(told)
        });
        accepted.await["results"][OF_BULK - 1]["message"]["id"].clone()
    });
    let last = bulks.buffer_unordered(AT_ONCE).collect::<Vec<Value>>().await;
    last.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The instance sends a message a minute, so they stay where they are.
#[tokio::test]
async fn questions_are_answered_while_a_thousand_texts_wait() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let mut people = vec![paired.other.clone()];
    for n in 0..15 {
        people.push(phones.create(&format!("Reader {n}")).await);
    }
    let path = format!("/api/instances/{}", paired.instance);
    paired
        .user
        .put(&path, json!({"messagesPerMinute": 1}))
        .await
        .data(200);
    let last = queue(&paired.key, &people).await;

    let group = json!({"subject": "Engines", "participants": [paired.other]});
    let made = paired.key.post("/api/groups", group).await.data(201);
    let checked = json!({"contacts": [phones.create("Late").await, "15550009999"]});
    for _ in 0..5 {
        let key = &paired.key;
        let results = key.post("/api/contacts/check", &checked).await.data(200)["results"].clone();
        assert_eq!(
            (&results[0]["exists"], &results[1]["exists"]),
            (&json!(true), &json!(false))
        );
        assert_eq!(key.get("/api/contacts/blocked").await.data(200), json!([]));
        assert_eq!(key.get("/api/groups").await.data(200)[0]["id"], made["id"]);
        let read = key.post(&format!("/api/chats/{}/read", paired.other), ()).await;
        read.data(200);
    }

    // All but the few of a message a minute still wait.
    let mut arrived = 0;
    for phone in &people {
        arrived += phones.inbox(phone).await.len();
    }
    assert!(arrived < 100, "{arrived} texts have gone out");
    for id in &last {
        let message = paired.key.get(&format!("/api/messages/{id}")).await.data(200);
        assert_eq!(message["status"], "queued");
    }
    stack.stop().await;
}
