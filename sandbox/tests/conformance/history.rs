//! What a new companion learns of the time before it.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use sandbox::{Config, Sandbox};
use serde_json::json;
use wacore::types::events::Event;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use waproto::whatsapp::history_sync::HistorySyncType;

use crate::client::TestClient;
use crate::net::{Admin, start, start_with};
use crate::web::Web;

/// A sandbox that sends as much history as a sandbox does by itself.
async fn with_history(data_dir: Option<&Path>) -> Sandbox {
    let usual = Config::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    start_with(data_dir, |config| {
        config.history_messages = usual.history_messages;
    })
    .await
}

/// Waits for history of one kind.
async fn history(client: &TestClient, kind: HistorySyncType) -> wa::HistorySync {
    client
        .wait("history", |event| match event {
            Event::HistorySync(history) => history.get().filter(|history| history.sync_type == kind).cloned(),
            _ => None,
        })
        .await
}

/// The texts of a chat in a history, in its order: the latest first.
fn texts(history: &wa::HistorySync, chat: &Jid) -> Vec<(String, bool)> {
    let conversation = history
        .conversations
        .iter()
        .find(|conversation| conversation.id == chat.to_string());
    let messages = conversation.map(|conversation| conversation.messages.as_slice());
    let text = |message: &wa::HistorySyncMsg| {
        let text = message.message.message.conversation.clone().expect("a text");
        (text, message.message.key.from_me == Some(true))
    };
    messages.unwrap_or_default().iter().map(text).collect()
}

async fn send(admin: Admin, from: &str, to: &str, text: &str) {
    let body = json!({"to": to, "kind": "text", "text": text}).to_string();
    admin
        .ok("POST", &format!("/admin/phones/{from}/send"), &body)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_companion_gets_what_its_phone_has() {
    let sandbox = with_history(None).await;
    let admin = Admin(sandbox.addr());
    let phone = admin.phone().await;
    let made = admin.ok("POST", "/admin/phones", r#"{"name": "Ada"}"#).await;
    let friend = made["phone"].as_str().expect("a number").to_owned();
    let chat = Jid::pn(friend.as_str());
    for n in 0..12 {
        send(admin, &friend, &phone, &format!("from Ada {n}")).await;
    }
    admin.inbox(&phone, 12).await;
    send(admin, &phone, &friend, "to Ada").await;
    let pin = json!({"action": "pin", "chat": friend}).to_string();
    admin
        .ok("POST", &format!("/admin/phones/{phone}/app-state"), &pin)
        .await;

    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&phone)).await;
    let first = history(&client, HistorySyncType::INITIAL_BOOTSTRAP).await;
    let seen = texts(&first, &chat);
    assert_eq!(seen.len(), 10, "the latest come first");
    assert_eq!(seen[0], ("to Ada".to_owned(), true));
    assert_eq!(seen[1], ("from Ada 11".to_owned(), false));
    let conversation = &first.conversations[0];
    assert_eq!(conversation.unread_count, Some(12));
    assert!(conversation.pinned.is_some());
    assert_eq!(conversation.name.as_deref(), Some("Ada"));
    let lid = made["lid"].as_str().map(|lid| Jid::lid(lid).to_string());
    let mapped = |mapping: &wa::PhoneNumberToLIDMapping| {
        mapping.pn_jid == Some(chat.to_string()) && mapping.lid_jid == lid
    };
    assert!(first.phone_number_to_lid_mappings.iter().any(mapped));

    let people = history(&client, HistorySyncType::PUSH_NAME).await;
    let named =
        |name: &wa::Pushname| name.id == Some(chat.to_string()) && name.pushname.as_deref() == Some("Ada");
    assert!(people.pushnames.iter().any(named));
    let rest = history(&client, HistorySyncType::RECENT).await;
    let rest: Vec<String> = texts(&rest, &chat).into_iter().map(|(text, _)| text).collect();
    assert_eq!(rest, ["from Ada 2", "from Ada 1", "from Ada 0"]);
    // The client has it all: nothing stays in its queue.
    admin.until("/admin/stats", |stats| stats["queued"] == 0).await;
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_history_is_a_file_on_the_media_host() {
    let sandbox = with_history(None).await;
    let admin = Admin(sandbox.addr());
    let web = Web::of(&sandbox);
    let (phone, friend) = (admin.phone().await, admin.phone().await);
    // What compression cannot make small.
    let long: Vec<String> = (0_u32..12)
        .map(|n| {
            let mut state = n + 1;
            let letters = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                char::from(b'!' + u8::try_from(state >> 24).unwrap_or_default() % 90)
            });
            letters.take(50_000).collect()
        })
        .collect();
    for text in &long {
        send(admin, &friend, &phone, text).await;
    }
    admin.inbox(&phone, 12).await;
    let (client, _) = TestClient::paired_with(&sandbox.ws_url(), admin, Some(&phone), web.clone()).await;
    let chat = Jid::pn(friend.as_str());
    let first = history(&client, HistorySyncType::INITIAL_BOOTSTRAP).await;
    assert_eq!(texts(&first, &chat)[0].0, long[11]);
    let rest = history(&client, HistorySyncType::RECENT).await;
    assert_eq!(texts(&rest, &chat).last().map(|(text, _)| text), Some(&long[0]));
    assert_eq!(
        web.exchanges().len(),
        2,
        "the names are short enough for a message"
    );
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_companion_asks_for_what_is_older() {
    let sandbox = start_with(None, |config| config.history_messages = 2).await;
    let admin = Admin(sandbox.addr());
    let phone = admin.phone().await;
    let friend = admin.phone().await;
    let chat = Jid::pn(friend.as_str());
    for n in 0..6 {
        send(admin, &friend, &phone, &format!("message {n}")).await;
    }
    admin.inbox(&phone, 6).await;
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&phone)).await;
    let first = history(&client, HistorySyncType::INITIAL_BOOTSTRAP).await;
    let seen = texts(&first, &chat);
    assert_eq!(seen.len(), 2, "no more than configured");
    let oldest = &first.conversations[0].messages[1].message;
    let session = client
        .client()
        .fetch_message_history(
            &chat,
            oldest.key.id.as_deref().expect("an id"),
            false,
            i64::try_from(oldest.message_timestamp.expect("a time")).expect("in range") * 1000,
            3,
        )
        .await
        .expect("the request goes out");
    let (answer, of) = client
        .wait("older messages", |event| match event {
            Event::HistorySync(history) => {
                let parsed = history
                    .get()
                    .filter(|h| h.sync_type == HistorySyncType::ON_DEMAND)?;
                Some((
                    parsed.clone(),
                    history.peer_data_request_session_id().map(str::to_owned),
                ))
            }
            _ => None,
        })
        .await;
    assert_eq!(of, Some(session), "the answer names its request");
    let older: Vec<String> = texts(&answer, &chat).into_iter().map(|(text, _)| text).collect();
    assert_eq!(older, ["message 3", "message 2", "message 1"]);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_no_history_none_is_sent() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let phone = admin.phone().await;
    let friend = admin.phone().await;
    send(admin, &friend, &phone, "before").await;
    admin.inbox(&phone, 1).await;
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&phone)).await;
    // Whatever came before this text would have been seen before it.
    send(admin, &friend, &phone, "after").await;
    client.text("after").await;
    admin.until("/admin/stats", |stats| stats["queued"] == 0).await;
    assert_eq!(client.count(|event| matches!(event, Event::HistorySync(_))), 0);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_ends_in_between_sends_it_later() {
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = with_history(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let (phone, friend) = (admin.phone().await, admin.phone().await);
    send(admin, &friend, &phone, "kept").await;
    admin.inbox(&phone, 1).await;
    sandbox.shutdown().await;

    let sandbox = with_history(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, Some(&phone)).await;
    let first = history(&client, HistorySyncType::INITIAL_BOOTSTRAP).await;
    assert_eq!(
        texts(&first, &Jid::pn(friend.as_str())),
        [("kept".to_owned(), false)]
    );
    tokio::time::timeout(Duration::from_secs(30), client.stop())
        .await
        .expect("it stops");
    sandbox.shutdown().await;
}
