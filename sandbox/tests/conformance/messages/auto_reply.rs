//! Phones that answer by themselves.

use std::sync::Arc;

use sandbox::script::{AutoReply, InboxQuery, SendRequest};
use sandbox::{Clock, SystemClock};
use wacore::types::events::Event;
use wacore::types::presence::{ChatPresence, ReceiptType};

use super::{arrival, entry};
use crate::client::TestClient;
use crate::net::{Admin, DEADLINE, start, start_with};

fn saying(text: &str) -> AutoReply {
    AutoReply {
        text: Some(text.into()),
        ..AutoReply::default()
    }
}

fn all() -> InboxQuery {
    InboxQuery {
        sent: true,
        ..InboxQuery::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_is_answered_once() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (client, own) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let other = sandbox.phone(admin.phone().await);
    let rule = AutoReply {
        read: true,
        typing: true,
        delay_ms: 200,
        ..saying("I am away")
    };
    other.set_auto_reply(Some(rule.clone())).await.expect("a rule");
    assert_eq!(other.auto_reply().await.expect("a rule"), Some(rule));
    for _ in 0..2 {
        client.send(other.number(), "3EB0000000040001", "hello").await;
    }
    client
        .wait("somebody who types", |event| match event {
            Event::ChatPresence(seen) => (seen.state == ChatPresence::Composing).then_some(()),
            _ => None,
        })
        .await;
    client.text("I am away").await;
    client.receipt("3EB0000000040001", &ReceiptType::Read).await;
    // The second copy is there, and brought no second answer.
    let counted = |entry: &sandbox::script::Entry| entry.copies == 2;
    other.wait_for(counted, DEADLINE).await.expect("both copies");
    let echo = AutoReply {
        echo: true,
        ..AutoReply::default()
    };
    other.set_auto_reply(Some(echo)).await.expect("another rule");
    client
        .send(other.number(), "3EB0000000040002", "is there an echo?")
        .await;
    let (id, _) = arrival(&client, "the echo", |message| {
        message.conversation.as_deref() == Some("is there an echo?")
    })
    .await;
    assert_ne!(id, "3EB0000000040002");
    assert_eq!(client.texts("I am away"), 1);
    // Without a rule there is no answer: the next thing the client hears is what the person says.
    other.set_auto_reply(None).await.expect("no rule");
    client.send(other.number(), "3EB0000000040003", "and now?").await;
    entry(&other, "3EB0000000040003").await;
    let answers = |entries: Vec<sandbox::script::Entry>| {
        entries
            .iter()
            .filter(|entry| entry.from == other.number())
            .count()
    };
    assert_eq!(answers(other.inbox(all()).await.expect("an inbox")), 2);
    assert_eq!(sandbox.phone(&own).auto_reply().await.expect("none"), None);
    client.stop().await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_phones_do_not_answer_each_other_for_ever() {
    let sandbox = start(None).await;
    let admin = Admin(sandbox.addr());
    let (one, other) = (
        sandbox.phone(admin.phone().await),
        sandbox.phone(admin.phone().await),
    );
    for phone in [&one, &other] {
        phone.set_auto_reply(Some(saying("busy"))).await.expect("a rule");
    }
    let sent = one
        .send(SendRequest::text(other.number(), "hello"))
        .await
        .expect("it is sent");
    entry(&other, &sent.id).await;
    let answer = one.wait_for(|_| true, DEADLINE).await.expect("an answer");
    assert_eq!(answer.content.text.as_deref(), Some("busy"));
    // When nothing is under way any more, nothing more has been said.
    admin.until("/admin/stats", |stats| stats["queued"] == 0).await;
    for phone in [&one, &other] {
        assert_eq!(
            phone.inbox(InboxQuery::default()).await.expect("an inbox").len(),
            1
        );
    }
    sandbox.shutdown().await;
}

/// The machine's clock, ahead by this many milliseconds.
struct Ahead(i64);

impl Clock for Ahead {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms() + self.0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_due_later_outlives_a_restart() {
    const HOUR_MS: u32 = 60 * 60 * 1000;
    let directory = tempfile::tempdir().expect("a directory");
    let sandbox = start(Some(directory.path())).await;
    let admin = Admin(sandbox.addr());
    let (client, _) = TestClient::paired(&sandbox.ws_url(), admin, None).await;
    let number = admin.phone().await;
    let rule = AutoReply {
        delay_ms: HOUR_MS,
        ..saying("late")
    };
    let phone = sandbox.phone(&number);
    phone.set_auto_reply(Some(rule)).await.expect("a rule");
    client.send(&number, "3EB0000000040101", "hello").await;
    entry(&phone, "3EB0000000040101").await;
    assert_eq!(phone.inbox(all()).await.expect("an inbox").len(), 1);
    let backend = client.stop().await;
    sandbox.shutdown().await;

    let later = |config: &mut sandbox::Config| config.clock = Arc::new(Ahead(2 * i64::from(HOUR_MS)));
    let sandbox = start_with(Some(directory.path()), later).await;
    let client = TestClient::start(&sandbox.ws_url(), backend).await;
    client.text("late").await;
    client.stop().await;
    sandbox.shutdown().await;
}
