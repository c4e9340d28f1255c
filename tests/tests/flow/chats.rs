//! What is done with a chat short of sending, as the phones of the sandbox see it.

use reqwest::Method;
use serde_json::{Value, json};
use testbed::caller::{Bases, Body};
use testbed::wait::until;
use tests::flow::{Paired, exchange, pair, stats, unique};
use tests::phones::Phones;
use tests::process::Process;

use crate::STACK;

async fn act(paired: &Paired, method: Method, path: &str, body: impl Body) -> Value {
    let answer = paired.key.request(method, &format!("/api/{path}"), body).await;
    answer.data(200)
}

/// Waits until a phone shows this of somebody in a chat.
async fn until_seen(phones: &Phones, phone: &str, chat: &str, from: &str, state: &str) {
    until(&format!("that {from} is {state}"), async || {
        let seen = phones.list(&format!("/admin/phones/{phone}/typing")).await;
        let expected = (json!(chat), json!(from), json!(state));
        seen.iter()
            .any(|one| (&one["chat"], &one["from"], &one["state"]) == (&expected.0, &expected.1, &expected.2))
            .then_some(())
    })
    .await;
}

async fn until_received(paired: &Paired, count: u64) {
    until("what was received", async || {
        let received = stats(&paired.key).await["totals"]["received"].as_u64();
        (received >= Some(count)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn others_see_that_the_account_writes_and_that_it_is_there() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let (own, other) = (paired.own.as_str(), paired.other.as_str());
    let lid = phones.lid(other).await;
    let until_available = async |available: bool| {
        until(&format!("that being there is {available}"), async || {
            (phones.phone(own).await["available"] == available).then_some(())
        })
        .await;
    };
    let by_lid = format!("lid:{lid}");
    for (activity, shown) in [("typing", "composing"), ("recording", "recording")] {
        act(&paired, Method::POST, &format!("chats/{other}/{activity}"), ()).await;
        until_seen(&phones, other, own, own, shown).await;
        until_available(true).await;
        act(&paired, Method::POST, &format!("chats/{by_lid}/paused"), ()).await;
        until_seen(&phones, other, own, own, "paused").await;
        until_available(false).await;
    }
    act(&paired, Method::PUT, "presence", json!({"presence": "available"})).await;
    until_available(true).await;
    // Whoever is there stays so when they have written.
    act(&paired, Method::POST, &format!("chats/{other}/typing"), ()).await;
    act(&paired, Method::POST, &format!("chats/{other}/paused"), ()).await;
    until_seen(&phones, other, own, own, "paused").await;
    assert_eq!(phones.phone(own).await["available"], true);
    act(
        &paired,
        Method::PUT,
        "presence",
        json!({"presence": "unavailable"}),
    )
    .await;
    until_available(false).await;
    stack.stop().await;
}

#[tokio::test]
async fn a_sender_sees_that_messages_were_read() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let (own, other) = (paired.own.as_str(), paired.other.as_str());
    exchange(&paired, &phones).await;
    let path = format!("chats/{other}/read");
    // What `exchange` brought.
    assert_eq!(act(&paired, Method::POST, &path, ()).await["messages"], 1);
    assert_eq!(act(&paired, Method::POST, &path, ()).await["messages"], 0);
    let texts = [unique(), unique(), unique()];
    for text in &texts {
        phones.send(other, own, text).await;
    }
    until_received(&paired, 4).await;
    let is_read = |message: &Value| message["readBy"] == json!([own]);
    let log = paired
        .user
        .get("/api/instances/main/messages?limit=3")
        .await
        .data(200);
    let second = log[1]["id"].clone();
    let body = json!({"upTo": second});
    let read = act(&paired, Method::POST, &path, body.clone()).await;
    assert_eq!(read["messages"], 2);
    for text in &texts[..2] {
        phones.until_sent(other, text, is_read).await;
    }
    let third = phones.until_sent(other, &texts[2], |_| true).await;
    assert!(third["readBy"].is_null(), "it comes after `upTo`");
    assert_eq!(act(&paired, Method::POST, &path, ()).await["messages"], 1);
    phones.until_sent(other, &texts[2], is_read).await;

    // In a group each sender is told.
    let third = phones.create("Third").await;
    let founded = json!({"subject": "Engines", "participants": [own, third]});
    let made = phones
        .post(&format!("/admin/phones/{other}/groups"), &founded)
        .await;
    let group = made["id"]
        .as_str()
        .or(made["group"].as_str())
        .expect("a group")
        .to_owned();
    let group = if group.contains('@') {
        group
    } else {
        format!("{group}@g.us")
    };
    let said = [(other, unique()), (third.as_str(), unique())];
    for (from, text) in &said {
        phones.send(from, &group, text).await;
    }
    until_received(&paired, 6).await;
    let read = act(&paired, Method::POST, &format!("chats/{group}/read"), ()).await;
    assert_eq!(read["messages"], 2);
    assert_eq!(read["chat"]["group"], group);
    for (from, text) in &said {
        phones.until_sent(from, text, is_read).await;
    }
    stack.stop().await;
}

#[tokio::test]
async fn the_own_phone_shows_a_chat_as_it_was_set() {
    let data = tempfile::tempdir().expect("a directory");
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    let phones = Phones::new(stack.admin.as_deref().expect("a sandbox"));
    let paired = pair(&Bases::one(&stack.api), &phones).await;
    let (own, other) = (paired.own.as_str(), paired.other.as_str());
    let jid = format!("{other}@s.whatsapp.net");
    let soon = chrono::DateTime::from_timestamp_millis(4_102_444_800_000).expect("a time");
    for (path, index, body, is_set, is_ended) in [
        (
            "archive",
            "archive",
            Value::Null,
            json!({"archiveChatAction": {"archived": true}}),
            json!({"archiveChatAction": {"archived": false}}),
        ),
        (
            "pin",
            "pin_v1",
            Value::Null,
            json!({"pinAction": {"pinned": true}}),
            json!({"pinAction": {"pinned": false}}),
        ),
        (
            "mute",
            "mute",
            Value::Null,
            json!({"muteAction": {"muted": true, "muteEndTimestamp": "-1"}}),
            json!({"muteAction": {"muted": false}}),
        ),
        (
            "mute",
            "mute",
            json!({"until": soon}),
            json!({"muteAction": {"muted": true, "muteEndTimestamp": "4102444800000"}}),
            json!({"muteAction": {"muted": false}}),
        ),
    ] {
        let index = json!([index, jid]);
        let route = format!("chats/{other}/{path}");
        act(&paired, Method::POST, &route, (!body.is_null()).then_some(body)).await;
        phones.until_set(own, &index, |value| has(value, &is_set)).await;
        act(&paired, Method::DELETE, &route, ()).await;
        phones.until_set(own, &index, |value| has(value, &is_ended)).await;
    }
    stack.stop().await;
}

/// Whether a setting has these members, whatever else it has. Large numbers may be texts.
fn has(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Object(value), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, wanted)| value.get(name).is_some_and(|value| has(value, wanted))),
        (Value::Number(number), Value::String(text)) => number.to_string() == *text,
        (value, wanted) => value == wanted,
    }
}
