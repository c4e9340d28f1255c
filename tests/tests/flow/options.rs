//! The options of a send, from the API to a phone: a reply, mentions, typing; and many messages in one request.

use serde_json::{Value, json};
use testbed::caller::Bases;
use testbed::wait::until;
use tests::flow::pair;
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

#[tokio::test]
async fn a_reply_quotes_what_came_in_and_calls_who_wrote_it() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let other = &paired.other;
    let group = phones
        .post(
            &format!("/admin/phones/{other}/groups"),
            &json!({"subject": "All", "participants": [paired.own]}),
        )
        .await;
    let group = group["id"].as_str().expect("a JID");
    phones.send(other, group, "where?").await;
    let asked = phones.until_shown(&paired.own, "where?").await;
    let log = format!("/api/instances/{}/messages", paired.instance);
    let received = until("the question", async || {
        let log = paired.user.get(&log).await.data(200);
        let mut log = log.as_array().expect("a list").clone().into_iter();
        log.find(|message| message["direction"] == "incoming")
    })
    .await;
    let body = json!({
        "to": group, "text": format!("@{other} here"), "mentions": [other], "typingMs": 500,
        "replyTo": {"id": received["id"], "text": "where?"},
    });
    let sent = paired.key.send("text", body).await.data(202);
    let typing = format!("/admin/phones/{other}/typing");
    until("somebody who types", async || {
        let seen = phones.get(&typing).await;
        (seen[0]["from"] == paired.own && seen[0]["state"] == "composing").then_some(())
    })
    .await;
    let lid = phones.lid(other).await;
    let shown = phones.until_shown(other, &format!("@{lid} here")).await;
    assert_eq!(shown["mentions"], json!([format!("{lid}@lid")]));
    assert_eq!(
        (&shown["quotedText"], &shown["quotedFrom"]),
        (&json!("where?"), &json!(format!("{lid}@lid")))
    );
    assert_eq!(shown["quoted"], asked["id"]);
    paired
        .key
        .until_state(sent["id"].as_str().expect("an id"), "delivered")
        .await;

    let elsewhere = json!({"to": other, "text": "here", "replyTo": {"id": received["id"]}});
    assert_eq!(
        paired.key.send("text", elsewhere).await.error(),
        "400 VALIDATION_ERROR: `replyTo.id` names a message of another chat"
    );
    stack.stop().await;
}

#[tokio::test]
async fn many_messages_of_one_request_are_shown_in_order() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let messages: Vec<Value> = (0..20)
        .map(|n| match n {
            5 => json!({"kind": "text", "to": paired.other, "text": ""}),
            6 => json!({"kind": "location", "to": paired.other, "latitude": 1, "longitude": 2, "name": "6"}),
            _ => json!({"kind": "text", "to": paired.other, "text": n.to_string()}),
        })
        .collect();
    // What a slow machine had no time for goes on under the same key.
    let key = paired.key.with_header("idempotency-key", "many");
    let body = json!({"messages": messages});
    let told = until("all that can be accepted", async || {
        let told = key.send("bulk", &body).await.data(200);
        (told["accepted"] == 19).then_some(told)
    })
    .await;
    assert_eq!(told["refused"], 1);
    assert_eq!(told["results"][5]["error"]["code"], "VALIDATION_ERROR");
    phones.until_shown(&paired.other, "19").await;
    let inbox = phones.inbox(&paired.other).await;
    let shown: Vec<_> = inbox
        .iter()
        .filter_map(|message| message["text"].as_str())
        .collect();
    let wanted: Vec<_> = (0..20).filter(|n| *n != 5).map(|n| n.to_string()).collect();
    assert_eq!(shown, wanted);
    stack.stop().await;
}
