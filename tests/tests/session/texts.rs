//! Pairing and texts.

use daemon::connection::{ReceiptKind, SendError, SessionEvent};
use serde_json::json;
use shared::domain::content::{Content, Said};
use shared::ids::MessageId;
use testbed::wait::DEADLINE;

use crate::world::{World, to};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_goes_out_and_its_receipts_come_back() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    session.connection.probe(DEADLINE).await.expect("a round trip");

    let message = MessageId::from_bytes([7; 16]);
    let id = message.to_whatsapp();
    session
        .connection
        .send(message, &to(&other), &Said::text("hello"))
        .await
        .expect("on the wire");
    assert_eq!(session.acknowledged(&id).await, None);
    let inbox = world.inbox(&other, |inbox| !inbox.is_empty()).await;
    assert_eq!(
        (inbox[0]["id"].as_str(), inbox[0]["text"].as_str()),
        (Some(id.as_str()), Some("hello"))
    );

    let receipt = |wanted: ReceiptKind| {
        let id = id.clone();
        move |event| match event {
            SessionEvent::Receipt {
                whatsapp_ids,
                kind,
                group: None,
                ..
            } if kind == wanted => {
                assert_eq!(whatsapp_ids, [id.as_str()]);
                Some(())
            }
            _ => None,
        }
    };
    session.until("delivery", receipt(ReceiptKind::Delivered)).await;
    world
        .admin(&format!("/admin/phones/{other}/read"), json!({"all": true}))
        .await;
    session.until("reading", receipt(ReceiptKind::Read)).await;
    session.connection.disconnect().await;
    assert_eq!(session.rest().await, []);
    world.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_comes_back_on_its_stored_state_without_a_code() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut first = world.paired(&own, 1).await;
    let message = MessageId::from_bytes([1; 16]);
    first
        .connection
        .send(message, &to(&other), &Said::text("one"))
        .await
        .expect("on the wire");
    assert_eq!(first.acknowledged(&message.to_whatsapp()).await, None);
    first.connection.disconnect().await;
    let refused = first
        .connection
        .send(message, &to(&other), &Said::text("one"))
        .await;
    assert!(matches!(refused, Err(SendError::NotConnected)), "{refused:?}");

    // By the next owner, in another process.
    let mut second = world.begin(2).await;
    let (phone, lid) = second.connected().await;
    assert_eq!(phone.as_deref(), Some(own.as_str()));
    assert!(lid.is_some());
    for (n, text) in [(2, "two"), (3, "three")] {
        let message = MessageId::from_bytes([n; 16]);
        second
            .connection
            .send(message, &to(&other), &Said::text(text))
            .await
            .expect("on the wire");
        assert_eq!(second.acknowledged(&message.to_whatsapp()).await, None);
    }
    let inbox = world.inbox(&other, |inbox| inbox.len() == 3).await;
    let texts: Vec<_> = inbox
        .iter()
        .map(|entry| entry["text"].as_str().expect("decrypted"))
        .collect();
    assert_eq!(texts, ["one", "two", "three"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_sent_twice_is_shown_once() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let message = MessageId::from_bytes([7; 16]);
    for _ in 0..2 {
        session
            .connection
            .send(message, &to(&other), &Said::text("hello"))
            .await
            .expect("on the wire");
        assert_eq!(session.acknowledged(&message.to_whatsapp()).await, None);
    }
    let inbox = world
        .inbox(&other, |inbox| inbox.iter().any(|entry| entry["copies"] == 2))
        .await;
    assert_eq!(inbox.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_comes_in_with_both_names_of_its_sender() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    world.send(&other, &own, "good morning").await;
    let message = session.committed().await;
    assert_eq!(message.content, Content::text("good morning"));
    assert!(!message.from_me);
    assert_eq!(message.from.phone.as_deref(), Some(other.as_str()));
    assert!(message.from.lid.is_some());

    // What came in while no session was there comes with the next.
    session.connection.disconnect().await;
    for n in 0..20 {
        world.send(&other, &own, &format!("while away {n}")).await;
    }
    let mut session = world.begin(2).await;
    for n in 0..20 {
        assert_eq!(
            session.committed().await.content,
            Content::text(format!("while away {n}"))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_account_sends_from_its_phone_is_known_as_its_own() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    world.send(&own, &other, "from the phone itself").await;
    let message = session.committed().await;
    assert!(message.from_me);
    assert_eq!(message.content, Content::text("from the phone itself"));
}
