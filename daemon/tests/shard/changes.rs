//! What is said about messages as it comes in: reactions, edits and revokes, each told as what it is, of the message that it is
//! about.

use chrono::{DateTime, TimeDelta};
use daemon::connection::InboundMessage;
use serde_json::{Value, json};
use shared::domain::content::{Content, Edit, Kind, Reaction, Revoke, Target};
use shared::domain::event::{EventType, Wants};
use shared::domain::instance::Instance;
use shared::domain::message::{Direction, State};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;

use crate::inbound::message;
use crate::world::World;

const ALICE: &str = "200000000000001";
const BOB: &str = "200000000000002";

const WANTED: [EventType; 4] = [
    EventType::MessageReceived,
    EventType::MessageEdited,
    EventType::MessageRevoked,
    EventType::MessageReaction,
];

fn lid(digits: &str) -> Person {
    Person {
        phone: None,
        lid: Some(digits.to_owned()),
    }
}

/// A message that came in, as the session names it.
fn target(whatsapp_id: &str) -> Target {
    Target {
        whatsapp_id: whatsapp_id.to_owned(),
        from_me: false,
        author: Person::default(),
    }
}

fn own(whatsapp_id: &str) -> Target {
    Target {
        from_me: true,
        ..target(whatsapp_id)
    }
}

fn reaction(target: Target, emoji: &str) -> Content {
    Content::Reaction(Reaction {
        target,
        emoji: emoji.to_owned(),
    })
}

fn edit(target: Target, text: &str) -> Content {
    Content::Edit(Edit {
        target,
        text: text.to_owned(),
    })
}

fn revoke(target: Target) -> Content {
    Content::Revoke(Revoke { target })
}

/// Alice says this, so many milliseconds from now.
fn says(world: &World, whatsapp_id: &str, after: i64, content: Content) -> InboundMessage {
    InboundMessage {
        content,
        received_at: world.now() + TimeDelta::milliseconds(after),
        ..message(world, whatsapp_id)
    }
}

/// The events that wait: their types and what they tell.
async fn told(world: &World, instance: &Instance) -> Vec<(String, Value)> {
    let events = world.events_there(instance).await.into_iter();
    events
        .map(|opened| (opened.event.kind.to_string(), opened.data))
        .collect()
}

fn names(told: &[(String, Value)]) -> Vec<&str> {
    told.iter().map(|(kind, _)| kind.as_str()).collect()
}

#[tokio::test]
async fn a_text_its_edit_its_revoke_and_a_reaction_are_told_in_this_order() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::only(&WANTED)).await;
    let batch = [
        says(&world, "3AFF01", 0, Content::text("first")),
        says(&world, "3AFF02", 10, edit(target("3AFF01"), "second")),
        says(&world, "3AFF03", 20, revoke(target("3AFF01"))),
        says(&world, "3AFF04", 30, reaction(target("3AFF01"), "👍")),
        says(&world, "3AFF05", 40, reaction(target("3AFF01"), "")),
    ];
    session.inbound.commit(&batch).await.expect("stored");
    let told = told(&world, &instance).await;
    assert_eq!(
        names(&told),
        [
            "message.received",
            "message.edited",
            "message.revoked",
            "message.reaction",
            "message.reaction"
        ]
    );
    let id = told[0].1["id"].clone();
    let from = json!({"phone": null, "lid": ALICE});
    let edited = &told[1].1;
    assert_eq!(
        (
            &edited["id"],
            &edited["kind"],
            &edited["text"],
            &edited["from"],
            &edited["chat"]
        ),
        (&id, &json!("text"), &json!("second"), &from, &told[0].1["chat"])
    );
    let chat = json!({"phone": null, "lid": ALICE, "group": null});
    assert_eq!(told[2].1, json!({"messageId": id, "chat": chat, "from": from}));
    assert_eq!(told[3].1, json!({"messageId": id, "from": from, "emoji": "👍"}));
    assert_eq!(told[4].1, json!({"messageId": id, "from": from, "emoji": ""}));

    // The log has each by its kind, and one text was received.
    let log = world.messages.list(instance.id, None, 10).await.expect("read");
    let kinds: Vec<_> = log.iter().rev().map(|record| record.kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::Text,
            Kind::Edit,
            Kind::Revoke,
            Kind::Reaction,
            Kind::Reaction
        ]
    );
    assert!(log.iter().all(|record| record.state == State::Received));
    assert_eq!(world.counts(&instance).await.received, 1);
}

#[tokio::test]
async fn what_comes_again_is_told_under_the_same_id() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::only(&WANTED)).await;
    let batch = [
        says(&world, "3AFF01", 0, Content::text("first")),
        says(&world, "3AFF02", 1, reaction(target("3AFF01"), "👍")),
    ];
    session.inbound.commit(&batch).await.expect("stored");
    session.inbound.commit(&batch).await.expect("stored");
    let told = told(&world, &instance).await;
    assert_eq!(names(&told), ["message.received", "message.reaction"]);
}

#[tokio::test]
async fn our_own_messages_are_named_whoever_sent_them() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::only(&WANTED)).await;
    let sent = MessageId::new(world.now());
    // One from the phone has an id of the phone's.
    let mut by_phone = says(&world, "3BFF01", 0, Content::text("from the phone"));
    by_phone.from_me = true;
    let mut edited = says(&world, "3BFF02", 1, edit(own("3BFF01"), "second"));
    edited.from_me = true;
    let batch = [
        by_phone.clone(),
        edited,
        says(&world, "3AFF01", 2, reaction(own("3BFF01"), "👍")),
        says(&world, "3AFF02", 3, reaction(own(&sent.to_whatsapp()), "❤")),
        // From before the pairing.
        says(&world, "3AFF03", 4, reaction(own("3CFF01"), "🎉")),
        says(&world, "3AFF04", 5, reaction(own("3CFF01"), "")),
    ];
    session.inbound.commit(&batch).await.expect("stored");
    let parts = [
        &instance.id.to_string(),
        &by_phone.chat.to_jid(),
        &by_phone.sender,
        "3BFF01",
    ];
    let phones = MessageId::derived_in_order(by_phone.received_at, &parts);
    let told = told(&world, &instance).await;
    assert_eq!(names(&told)[..2], ["message.edited", "message.reaction"]);
    assert_eq!(
        (
            &told[0].1["id"],
            &told[0].1["fromMe"],
            &told[0].1["kind"],
            &told[0].1["text"]
        ),
        (&json!(phones), &json!(true), &json!("text"), &json!("second"))
    );
    assert_eq!(told[1].1["messageId"], json!(phones));
    assert_eq!(told[2].1["messageId"], json!(sent));
    let unknown = &told[3].1["messageId"];
    assert_eq!(
        unknown, &told[4].1["messageId"],
        "the same however often it is named"
    );
    let unknown: MessageId = serde_json::from_value(unknown.clone()).expect("an id");
    assert_eq!(unknown.created_at(), DateTime::UNIX_EPOCH);
    // The account's own are no messages that it received.
    assert_eq!(world.counts(&instance).await.received, 0);
    let log = world.messages.list(instance.id, None, 10).await.expect("read");
    let outgoing = log
        .iter()
        .filter(|record| record.direction == Direction::Outgoing);
    assert_eq!(outgoing.count(), 2);
}

/// A sender chooses the ids of its messages.
#[tokio::test]
async fn in_a_group_a_message_is_named_by_its_author_too() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::only(&WANTED)).await;
    let group: Recipient = "120363021033254949@g.us".parse().expect("a group");
    let in_group = |who: &str, whatsapp_id: &str, after, content| InboundMessage {
        chat: group.clone(),
        sender: format!("{who}@lid"),
        from: lid(who),
        with: Person::default(),
        ..says(&world, whatsapp_id, after, content)
    };
    let of = |who: &str, whatsapp_id: &str| Target {
        author: lid(who),
        ..target(whatsapp_id)
    };
    let batch = [
        in_group(ALICE, "3AFF01", 0, Content::text("Alice's")),
        in_group(BOB, "3AFF01", 1, Content::text("Bob's, under the same id")),
        in_group(BOB, "3AFF02", 2, reaction(of(ALICE, "3AFF01"), "👍")),
        in_group(BOB, "3AFF03", 3, revoke(of(BOB, "3AFF01"))),
    ];
    session.inbound.commit(&batch).await.expect("stored");
    let told = told(&world, &instance).await;
    assert_eq!(told[2].1["messageId"], told[0].1["id"]);
    assert_ne!(
        told[3].1["messageId"], told[0].1["id"],
        "nobody takes back another's"
    );
    assert_eq!(
        told[3].1["chat"],
        json!({"phone": null, "lid": null, "group": group.to_jid()})
    );
}

#[tokio::test]
async fn an_edit_of_what_is_no_text_keeps_its_kind() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::only(&WANTED)).await;
    let place = shared::domain::content::Location {
        location: shared::domain::content::Place {
            latitude: 1.0,
            longitude: 2.0,
            name: None,
            address: None,
            live: true,
        },
        text: Some("on my way".to_owned()),
        live_seconds: None,
    };
    let batch = [
        says(&world, "3AFF01", 0, Content::Location(place)),
        says(&world, "3AFF02", 1, edit(target("3AFF01"), "nearly there")),
    ];
    session.inbound.commit(&batch).await.expect("stored");
    let told = told(&world, &instance).await;
    let (_, edited) = told
        .iter()
        .find(|(kind, _)| kind == "message.edited")
        .expect("told");
    assert_eq!(
        (&edited["kind"], &edited["text"]),
        (&json!("location"), &json!("nearly there"))
    );
}
