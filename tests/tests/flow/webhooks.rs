//! What happens on phones arrives at a webhook: signed, in order, once.

use serde_json::{Value, json};
use testbed::caller::Bases;
use tests::flow::{create, link, pair};
use tests::hook::Hook;
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

fn text_of(event: &Value) -> Option<&str> {
    event["data"]["text"].as_str()
}

#[tokio::test]
async fn what_phones_say_arrives_signed_and_in_order() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let hook = Hook::start().await;
    let secret = hook.attach(&paired, &phones, json!(["*"]), &json!({})).await;

    // Texts of one person, as fast as they can be written.
    let texts: Vec<_> = (0..10).map(|n| format!("line {n}")).collect();
    for text in &texts {
        phones.send(&paired.other, &paired.own, text).await;
    }
    let is_line = |event: &Value| text_of(event).is_some_and(|text| text.starts_with("line "));
    let told = hook.until(texts.len(), is_line).await;
    let lines: Vec<_> = told.iter().filter_map(text_of).collect();
    assert_eq!(lines, texts);
    let first = &told[0];
    assert_eq!(first["type"], "message.received");
    assert_eq!(first["instance"]["name"], json!(paired.instance));
    assert_eq!(first["data"]["from"]["phone"], json!(paired.other));
    assert_eq!(first["data"]["chat"]["phone"], json!(paired.other));

    // A text, its edit, a reaction and its revoke, one behind the other.
    let path = format!("/admin/phones/{}/send", paired.other);
    let to = &paired.own;
    let said = phones
        .post(&path, &json!({"to": to, "kind": "text", "text": "first"}))
        .await;
    let theirs = said["id"].as_str().expect("an id");
    for body in [
        json!({"to": to, "kind": "edit", "messageId": theirs, "text": "second"}),
        json!({"to": to, "kind": "reaction", "messageId": theirs, "emoji": "❤"}),
        json!({"to": to, "kind": "revoke", "messageId": theirs}),
    ] {
        phones.post(&path, &body).await;
    }
    let is_of_it = |event: &Value| {
        let kind = event["type"].as_str().unwrap_or_default();
        text_of(event) == Some("first")
            || matches!(kind, "message.edited" | "message.reaction" | "message.revoked")
    };
    let told = hook.until(4, is_of_it).await;
    let kinds: Vec<_> = told.iter().map(|event| event["type"].as_str()).collect();
    assert_eq!(
        kinds,
        [
            Some("message.received"),
            Some("message.edited"),
            Some("message.reaction"),
            Some("message.revoked")
        ]
    );

    // What is sent is told of as it comes further.
    let message = paired.key.send_text(&paired.other, "Hello").await;
    phones.until_shown(&paired.other, "Hello").await;
    phones.read_all(&paired.other).await;
    paired.key.until_state(&message, "read").await;
    let is_status = |event: &Value| event["data"]["id"] == json!(message);
    let told = hook
        .until(1, |event| is_status(event) && event["data"]["status"] == "read")
        .await;
    assert_eq!(told.len(), 1);
    let states: Vec<_> = hook
        .events(is_status)
        .iter()
        .map(|event| event["data"]["status"].as_str().expect("a state").to_owned())
        .collect();
    let order = ["sent", "delivered", "read"];
    let places: Vec<_> = states
        .iter()
        .map(|state| order.iter().position(|known| known == state))
        .collect();
    assert!(places.is_sorted() && !places.contains(&None), "{states:?}");

    for heard in hook.heard() {
        assert!(heard.is_genuine(&secret));
        assert_eq!(
            heard.headers["webhook-id"],
            heard.event()["id"].as_str().expect("an id")
        );
    }
    let mut ids: Vec<_> = hook
        .events(|_| true)
        .iter()
        .map(|event| event["id"].to_string())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "each came once");
    stack.stop().await;
}

/// The phone has a past when it is linked, and sends it along. A webhook is told of what happens from then on.
#[tokio::test]
async fn nothing_of_a_phones_past_is_told() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = create(&Bases::one(&stack.api), &phones).await;
    for n in 0..5 {
        phones
            .send(&paired.other, &paired.own, &format!("long ago {n}"))
            .await;
        phones
            .send(&paired.own, &paired.other, &format!("and back {n}"))
            .await;
    }
    let hook = Hook::start().await;
    let path = format!("/api/instances/{}/webhook", paired.instance);
    let body = json!({"url": hook.url(), "events": ["*"]});
    paired.user.put(&path, body).await.data(200);
    link(&paired, &phones).await;
    for text in ["now", "and now"] {
        phones.send(&paired.other, &paired.own, text).await;
    }
    hook.until(1, |event| text_of(event) == Some("and now")).await;
    assert_eq!(hook.texts(|_| true), ["now", "and now"]);
    let messages = paired.key.get("/api/messages").await.data(200);
    assert_eq!(messages.as_array().map(Vec::len), Some(2), "{messages}");
    stack.stop().await;
}
