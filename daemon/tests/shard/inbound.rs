//! Incoming messages: one record, one count and one event, however often they come.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use daemon::connection::InboundMessage;
use shared::domain::event::{Event, EventType, MessageReceived};
use shared::domain::instance::Instance;
use shared::domain::job;
use shared::domain::message::{Direction, Kind, State};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::{EventId, MessageId};
use shared::queue::{Queue as _, Received};
use shared::seal::Purpose;
use shared::storage::counters::Counts;

use crate::world::World;

const TEXT: &str = "see you at eight";

fn message(world: &World, whatsapp_id: &str) -> InboundMessage {
    InboundMessage {
        whatsapp_id: whatsapp_id.to_owned(),
        chat: Recipient::Lid("200000000000001".to_owned()),
        sender: "200000000000001@lid".to_owned(),
        from: Person {
            phone: None,
            lid: Some("200000000000001".to_owned()),
        },
        with: Person {
            phone: None,
            lid: Some("200000000000001".to_owned()),
        },
        push_name: Some("Alice".to_owned()),
        from_me: false,
        kind: Kind::Text,
        text: Some(TEXT.to_owned()),
        truncated: None,
        at: world.now() - TimeDelta::seconds(4),
        received_at: world.now(),
    }
}

async fn opened(world: &World, instance: &Instance, received: &Received) -> (Event, MessageReceived) {
    assert!(!received.body.contains(TEXT), "content rests only sealed");
    let event: Event = job::decode(&received.body).expect("an event");
    let sealed = STANDARD.decode(&event.data).expect("base64");
    let plain = world
        .sealer
        .open(
            instance.id,
            Purpose::Content,
            event.id.to_string().as_bytes(),
            &sealed,
        )
        .await
        .expect("it opens");
    (event, serde_json::from_slice(&plain).expect("its data"))
}

fn received(count: u64) -> Counts {
    Counts {
        received: count,
        ..Counts::default()
    }
}

#[tokio::test]
async fn a_message_that_comes_twice_is_one() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    let incoming = message(&world, "3AFF01");
    session
        .inbound
        .commit(std::slice::from_ref(&incoming))
        .await
        .expect("stored");
    world.clock.advance(TimeDelta::minutes(2));
    // By now the sender's number is known too: it is the same message still.
    let mut again = incoming.clone();
    again.from.phone = Some("15550100001".to_owned());
    session.inbound.commit(&[again]).await.expect("stored");

    let events = world.taken(&world.names.events()).await;
    assert_eq!(events.len(), 1, "the queue drops the second under the same id");
    let (event, data) = opened(&world, &instance, &events[0]).await;
    let parts = [
        &instance.id.to_string(),
        "200000000000001@lid",
        "200000000000001@lid",
        "3AFF01",
    ];
    let id = MessageId::derived_in_order(incoming.received_at, &parts);
    assert_eq!(
        event.id,
        EventId::derived(incoming.at, &[&parts[..], &["message.received"]].concat())
    );
    assert_eq!(
        (event.kind, event.instance, event.subscription, event.timestamp),
        (
            EventType::MessageReceived,
            instance.id,
            instance.subscription,
            incoming.at
        )
    );
    let expected = MessageReceived {
        id,
        chat: incoming.chat.clone(),
        from: incoming.from.clone(),
        push_name: incoming.push_name.clone(),
        kind: Kind::Text,
        text: Some(TEXT.to_owned()),
        timestamp: incoming.at,
        received_at: Some(incoming.received_at),
        truncated: false,
        truncation_reason: None,
    };
    assert!(data == expected, "the event tells of the message");
    let record = world.messages.get(instance.id, id).await.expect("read");
    let record = record.expect("a record");
    assert_eq!(
        (record.direction, record.state),
        (Direction::Incoming, State::Received)
    );
    assert_eq!(record.whatsapp_id.as_deref(), Some("3AFF01"));
    assert_eq!(record.person, incoming.from);
    assert_eq!(world.counts(&instance).await, received(1));
}

#[tokio::test]
async fn another_message_is_another_and_ones_own_is_no_event() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    let first = message(&world, "3AFF01");
    let mut other_sender = first.clone();
    other_sender.sender = "200000000000002@lid".to_owned();
    let mut own = message(&world, "3AFF02");
    own.from_me = true;
    session
        .inbound
        .commit(&[first, other_sender, own.clone()])
        .await
        .expect("stored");
    let events = world.taken(&world.names.events()).await;
    assert_eq!(events.len(), 2);
    let (one, _) = opened(&world, &instance, &events[0]).await;
    let (two, _) = opened(&world, &instance, &events[1]).await;
    assert_ne!(one.id, two.id);
    assert_eq!(events[0].group, events[1].group, "order holds within the chat");
    assert_eq!(world.counts(&instance).await, received(2));
    let id = MessageId::derived_in_order(
        own.received_at,
        &[
            &instance.id.to_string(),
            &own.chat.to_jid(),
            &own.sender,
            "3AFF02",
        ],
    );
    let record = world.messages.get(instance.id, id).await.expect("read");
    let record = record.expect("a record");
    assert_eq!(
        (record.direction, record.state),
        (Direction::Outgoing, State::Sent)
    );
}

#[tokio::test]
async fn a_message_whose_event_could_not_be_queued_comes_again_and_counts_once() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    let incoming = [message(&world, "3AFF01")];
    world.queue.fail_every(1);
    session
        .inbound
        .commit(&incoming)
        .await
        .expect_err("WhatsApp must not hear that it came");
    world.queue.fail_every(0);
    session.inbound.commit(&incoming).await.expect("stored");
    let events = world.taken(&world.names.events()).await;
    assert_eq!(events.len(), 1);
    opened(&world, &instance, &events[0]).await;
    let depth = world.queue.depth(&world.names.events()).await.expect("read");
    assert_eq!(depth.visible, 0);
    assert_eq!(world.counts(&instance).await, received(1));
}
