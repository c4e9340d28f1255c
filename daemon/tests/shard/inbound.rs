//! Incoming messages: one record, one count and one event, however often they come.

use chrono::{DateTime, TimeDelta};
use daemon::connection::InboundMessage;
use shared::domain::content::{Content, Context, Excerpt, Kind, Location, Place, Quoted, Text};
use shared::domain::event::{Event, EventType, MessageReceived, Wants};
use shared::domain::instance::Instance;
use shared::domain::message::{Direction, State, Truncation};
use shared::domain::payload;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::{EventId, MessageId};
use shared::queue::{Queue as _, Received};
use shared::sealed;
use shared::storage::counters::Counts;

use crate::world::World;

const TEXT: &str = "see you at eight";

pub fn message(world: &World, whatsapp_id: &str) -> InboundMessage {
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
        content: Content::text(TEXT),
        context: Context::default(),
        quoted_in: None,
        vote: None,
        truncated: None,
        at: world.now() - TimeDelta::seconds(4),
        received_at: world.now(),
    }
}

async fn opened(world: &World, instance: &Instance, received: &Received) -> (Event, MessageReceived) {
    assert!(!received.body.contains(TEXT), "content rests only sealed");
    let event: Event = payload::decode(&received.body).expect("an event");
    let opening = sealed::open(&world.sealer, instance.id, &event.id, &event.data);
    let data = opening.await.expect("it opens");
    (event, data)
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
    world
        .listen(&instance, &Wants::only(&[EventType::MessageReceived]))
        .await;
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
        EventId::derived(id.created_at(), &[&parts[..], &["message.received"]].concat())
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
        from_me: false,
        push_name: incoming.push_name.clone(),
        content: Excerpt::Content(Content::text(TEXT)),
        context: Context::default(),
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
    world
        .listen(&instance, &Wants::only(&[EventType::MessageReceived]))
        .await;
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
    world
        .listen(&instance, &Wants::only(&[EventType::MessageReceived]))
        .await;
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

#[tokio::test]
async fn what_is_too_large_is_told_of_as_far_as_it_goes_and_holds_up_no_other() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::MessageReceived]))
        .await;
    let at = |n: i64| world.now() + TimeDelta::microseconds(n);
    let mut long = message(&world, "3AFF01");
    (long.content, long.received_at) = (Content::text("\u{1F4AC}".repeat(400_000)), at(1));
    // More than an item takes and more than a queue takes, in what a sender may choose.
    let mut odd = message(&world, &"F".repeat(500_000));
    (odd.push_name, odd.received_at) = (Some("\u{7}".repeat(900_000)), at(2));
    let mut odder = message(&world, "3AFF03");
    (odder.from.phone, odder.received_at) = (Some("1".repeat(1_100_000)), at(3));
    odder.with = odder.from.clone();
    let mut cut = message(&world, "3AFF04");
    (cut.content, cut.received_at) = (Content::Unknown, at(4));
    cut.truncated = Some(Truncation::TooLarge);
    let mut small = message(&world, "3AFF05");
    small.received_at = at(5);
    session
        .inbound
        .commit(&[long, odd, odder, cut, small])
        .await
        .expect("stored, each as far as it goes");

    let events = world.taken(&world.names.events()).await;
    let mut told = Vec::new();
    for received in &events {
        told.push(opened(&world, &instance, received).await.1);
    }
    let too_large = (true, Some(Truncation::TooLarge));
    let whole = (false, None);
    let reasons: Vec<_> = told
        .iter()
        .map(|data| (data.truncated, data.truncation_reason))
        .collect();
    assert_eq!(reasons, [too_large, whole, too_large, too_large, whole]);
    let lengths: Vec<_> = told
        .iter()
        .map(|data| match &data.content {
            Excerpt::Content(Content::Text(Text { text, .. })) => Some(text.chars().count()),
            _ => None,
        })
        .collect();
    let short = Some(TEXT.chars().count());
    assert_eq!(lengths, [Some(65_536), short, None, None, short]);
    let kinds: Vec<_> = told.iter().map(|data| data.content.kind()).collect();
    assert_eq!(
        kinds,
        [Kind::Text, Kind::Text, Kind::Text, Kind::Unknown, Kind::Text]
    );
    assert_eq!(told[2].from.lid.as_deref(), Some("200000000000001"));

    // Newest first, in the order in which they came within one second of WhatsApp's.
    let listed = world.messages.list(instance.id, None, 10).await.expect("read");
    let ids: Vec<_> = listed.iter().rev().map(|record| record.id).collect();
    assert_eq!(ids, told.iter().map(|data| data.id).collect::<Vec<_>>());
    let reasons: Vec<_> = listed.iter().rev().map(|record| record.truncated).collect();
    let too_large = Some(Truncation::TooLarge);
    assert_eq!(reasons, [too_large, None, too_large, too_large, None]);
}

#[tokio::test]
async fn the_log_is_in_the_order_in_which_messages_came_and_were_accepted() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::MessageReceived]))
        .await;
    let mut order = Vec::new();
    for n in 0..6 {
        world.clock.advance(TimeDelta::milliseconds(70));
        if n % 2 == 0 {
            let mut incoming = message(&world, &format!("3AFF0{n}"));
            // Whole seconds, and those of another clock.
            incoming.at = DateTime::from_timestamp(world.now().timestamp() + 2, 0).expect("in range");
            session.inbound.commit(&[incoming]).await.expect("stored");
            order.push(Direction::Incoming);
        } else {
            world.accept(&instance, "15550100001", "an answer").await;
            order.push(Direction::Outgoing);
        }
    }
    let log = world.messages.list(instance.id, None, 10).await.expect("read");
    let told: Vec<Direction> = log.iter().rev().map(|record| record.direction).collect();
    assert_eq!(told, order);
    let newest = log.first().expect("a record");
    assert_eq!(newest.direction, Direction::Outgoing);
    assert_eq!(log[1].received_at, Some(log[1].id.created_at()));
}

#[tokio::test]
async fn a_place_is_told_as_one_to_readers_who_know_places() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::MessageReceived]))
        .await;
    let mut incoming = message(&world, "3AFF01");
    incoming.content = Content::Location(Location {
        location: Place {
            latitude: -33.8568,
            longitude: 151.2153,
            name: Some("x".repeat(2_000)),
            address: None,
            live: false,
        },
        text: None,
        live_seconds: None,
    });
    session.inbound.commit(&[incoming]).await.expect("stored");
    let events = world.taken(&world.names.events()).await;
    let body: serde_json::Value = serde_json::from_str(&events[0].body).expect("JSON");
    assert_eq!(body["v"], Kind::Location.needs());
    let (event, data) = opened(&world, &instance, &events[0]).await;
    assert_eq!(event.needs, Kind::Location.needs());
    let told = serde_json::to_value(&data).expect("plain data");
    let location = serde_json::json!({
        "latitude": -33.8568, "longitude": 151.2153, "name": "x".repeat(1_000), "address": null, "live": false,
    });
    assert_eq!(
        (&told["kind"], &told["location"]),
        (&serde_json::json!("location"), &location)
    );
    assert_eq!(data.truncation_reason, Some(Truncation::TooLarge));
    let record = world.messages.get(instance.id, data.id).await.expect("read");
    let record = record.expect("a record");
    assert_eq!(
        (record.kind, record.truncated),
        (Kind::Location, Some(Truncation::TooLarge))
    );
}

/// A quote of the message that has this WhatsApp id.
fn quote(whatsapp_id: &str, from_me: bool) -> Box<Quoted> {
    Box::new(Quoted {
        id: None,
        whatsapp_id: whatsapp_id.to_owned(),
        from: Person::default(),
        from_me,
        kind: Kind::Text,
        text: Some(TEXT.to_owned()),
    })
}

/// By one of others, by one of ours, by one of another chat, and by one that nobody knows here.
#[tokio::test]
async fn a_quoted_message_is_told_of_by_its_own_id() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::MessageReceived]))
        .await;
    let group: Recipient = "120363021033254949@g.us".parse().expect("a group");
    let incoming = |id: &str, after, quoted, quoted_in: Option<&Recipient>| {
        let mut incoming = message(&world, id);
        incoming.received_at += TimeDelta::microseconds(after);
        incoming.context.quoted = quoted;
        incoming.quoted_in = quoted_in.cloned();
        incoming
    };
    let mut in_group = incoming("3AFF02", 2, None, None);
    in_group.chat = group.clone();
    // Whoever repeats another's id does not take its place.
    let mut repeated = incoming("3AFF02", 3, None, None);
    (repeated.chat, repeated.sender) = (group.clone(), "200000000000002@lid".to_owned());
    let ours = MessageId::from_bytes([7; 16]);
    let batch = [
        incoming("3AFF01", 1, None, None),
        in_group,
        repeated,
        incoming("3AFF04", 4, Some(quote("3AFF01", false)), None),
        incoming("3AFF05", 5, Some(quote("3AFF02", false)), None),
        incoming("3AFF06", 6, Some(quote("3AFF02", false)), Some(&group)),
        incoming("3AFF07", 7, Some(quote(&ours.to_whatsapp(), true)), None),
        incoming("3AFF08", 8, Some(quote(&ours.to_whatsapp(), false)), None),
    ];
    session.inbound.commit(&batch).await.expect("stored");
    let mut told = Vec::new();
    for received in &world.taken(&world.names.events()).await {
        let (event, data) = opened(&world, &instance, received).await;
        assert_eq!(event.needs > 1, data.context.quoted.is_some());
        told.push(data);
    }
    told.sort_by_key(|data| data.received_at);
    assert_eq!(told.len(), batch.len());
    assert!(told[0].context == Context::default());
    let quoted = |number: usize| told[number].context.quoted.as_ref().and_then(|quoted| quoted.id);
    assert_eq!(quoted(3), Some(told[0].id));
    assert_eq!(quoted(4), None, "it is of another chat");
    assert_eq!(quoted(5), Some(told[1].id));
    assert_eq!(quoted(6), Some(ours));
    assert_eq!(quoted(7), None, "the account did not write it");
}
