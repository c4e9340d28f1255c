//! What is said about messages goes from the API to a phone, and back.

use serde_json::{Value, json};
use testbed::caller::Bases;
use testbed::wait::until;
use tests::flow::{pair, stats};
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

fn id(value: &Value) -> &str {
    value["id"].as_str().expect("an id")
}

#[tokio::test]
async fn a_phone_shows_reaction_edit_and_revoke_and_answers_in_kind() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let (key, other) = (&paired.key, &paired.other);
    let entry = async |what: &str, wanted: &dyn Fn(&Value) -> bool| {
        until(what, async || {
            let inbox = phones.inbox(other).await;
            inbox.into_iter().find(|entry| wanted(entry))
        })
        .await
    };

    // Before the text is sent: each waits for what it is about.
    let text = key.send_text(other, "first").await;
    let path = format!("/api/messages/{text}");
    let reaction = key
        .post(&format!("{path}/reaction"), json!({"emoji": "👍"}))
        .await;
    let reaction = reaction.data(202);
    let edit = key.patch(&path, json!({"text": "second"})).await.data(202);
    entry("the edited text with a reaction", &|entry| {
        entry["text"] == "second"
            && entry["edited"] == true
            && entry["reactions"] == json!([{"from": paired.own, "text": "👍"}])
    })
    .await;
    for message in [&text, id(&reaction), id(&edit)] {
        key.until_state(message, "delivered").await;
    }
    let deleted = key.delete(&path).await.data(200);
    assert_eq!(
        (&deleted["id"], &deleted["deleted"]),
        (&json!(text), &json!(true))
    );
    entry("a revoked text", &|entry| entry["kind"] == "revoked").await;
    let revoke = key.until_state(id(&deleted["revoke"]), "delivered").await;
    assert_eq!(revoke["kind"], "revoke");
    until("the counts of the kinds", async || {
        let sent = stats(key).await["byKind"].clone();
        let wanted = json!({"text": 1, "reaction": 1, "edit": 1, "revoke": 1});
        (sent == wanted).then_some(())
    })
    .await;

    // A text from the phone: listed, reacted to, edited and revoked; it is one message that was received.
    let path = format!("/admin/phones/{other}/send");
    let say = async |body: Value| {
        let sent = phones.post(&path, &body).await;
        id(&sent).to_owned()
    };
    let to = &paired.own;
    let theirs = say(json!({"to": to, "kind": "text", "text": "from the phone"})).await;
    for body in [
        json!({"to": to, "kind": "edit", "messageId": theirs, "text": "better"}),
        json!({"to": to, "kind": "reaction", "messageId": theirs, "emoji": "❤"}),
        json!({"to": to, "kind": "revoke", "messageId": theirs}),
    ] {
        say(body).await;
    }
    let log = format!("/api/instances/{}/messages", paired.instance);
    let incoming = until("four messages that came in", async || {
        let log = paired.user.get(&log).await.data(200);
        let log = log.as_array().expect("a list").clone().into_iter();
        let incoming: Vec<Value> = log.filter(|message| message["direction"] == "incoming").collect();
        (incoming.len() == 4).then_some(incoming)
    })
    .await;
    let kinds: Vec<_> = incoming
        .iter()
        .rev()
        .map(|message| message["kind"].clone())
        .collect();
    assert_eq!(json!(kinds), json!(["text", "edit", "reaction", "revoke"]));
    assert_eq!(stats(key).await["totals"]["received"], 1);

    // One can react to what came in.
    let received = id(&incoming[3]);
    let path = format!("/api/messages/{received}/reaction");
    key.post(&path, json!({"emoji": "🎉"})).await.data(202);
    let shown = entry("a reaction to the phone's own", &|entry| {
        entry["kind"] == "reaction" && entry["text"] == "🎉"
    })
    .await;
    assert_eq!(shown["quoted"], json!(theirs));
    stack.stop().await;
}

/// Nobody is shown what was taken back in time; what went out all the same is taken back there.
#[tokio::test]
async fn what_is_cancelled_at_once_is_shown_to_nobody_for_long() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let (key, other) = (&paired.key, &paired.other);
    for round in 0..8 {
        let text = format!("never mind {round}");
        let message = key.send_text(other, &text).await;
        let path = format!("/api/messages/{message}");
        key.delete(&path).await.data(200);
    }
    // What comes behind them shows that they are through.
    let last = key.send_text(other, "last").await;
    key.until_state(&last, "delivered").await;
    until("an inbox with the last text alone", async || {
        let inbox = phones.inbox(other).await.into_iter();
        let left: Vec<Value> = inbox.filter(|entry| entry["kind"] != "revoked").collect();
        (left.len() == 1 && left[0]["text"] == "last").then_some(())
    })
    .await;
    stack.stop().await;
}
