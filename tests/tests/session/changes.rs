//! What is said about messages: reactions, edits and revokes, out and in.

use daemon::connection::{InboundMessage, SendError};
use serde_json::{Value, json};
use shared::clock::{Clock as _, SystemClock};
use shared::domain::content::{Content, Edit, Reaction, Revoke, Target};
use shared::domain::message::FailureCode;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;

use crate::world::{Running, World, to};

fn target(whatsapp_id: &str, from_me: bool) -> Target {
    Target {
        whatsapp_id: whatsapp_id.to_owned(),
        from_me,
        author: Person::default(),
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

/// Sends this, and waits for the server to take it. Answers WhatsApp's id.
async fn send(session: &mut Running, chat: &Recipient, content: &Content) -> String {
    let message = MessageId::new(SystemClock.now());
    let said = content.clone().into();
    let sent = session.connection.send(message, chat, &said).await;
    sent.expect("on the wire");
    let whatsapp_id = message.to_whatsapp();
    assert_eq!(session.acknowledged(&whatsapp_id).await, None);
    whatsapp_id
}

/// The entry with this id, once `wanted` says so.
async fn shown(world: &World, phone: &str, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let is_it = |entry: &Value| entry["id"] == id && wanted(entry);
    let inbox = world.inbox(phone, |inbox| inbox.iter().any(is_it)).await;
    inbox.into_iter().find(is_it).expect("it is there")
}

async fn says(world: &World, phone: &str, body: Value) -> String {
    let sent = world.admin(&format!("/admin/phones/{phone}/send"), body).await;
    sent["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_shows_what_the_instance_says_of_messages() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let chat = to(&other);
    let ours = send(&mut session, &chat, &Content::text("first")).await;
    shown(&world, &other, &ours, |_| true).await;

    for emoji in ["👍", "❤"] {
        send(&mut session, &chat, &reaction(target(&ours, true), emoji)).await;
        let is_on = |entry: &Value| entry["reactions"] == json!([{"from": own, "text": emoji}]);
        shown(&world, &other, &ours, is_on).await;
    }
    send(&mut session, &chat, &reaction(target(&ours, true), "")).await;
    shown(&world, &other, &ours, |entry| {
        entry["reactions"].as_array().is_none_or(Vec::is_empty)
    })
    .await;

    send(&mut session, &chat, &edit(target(&ours, true), "second")).await;
    // The instance's own phone follows as well.
    for phone in [&other, &own] {
        let edited = shown(&world, phone, &ours, |entry| entry["edited"] == true).await;
        assert_eq!(
            (&edited["kind"], &edited["text"]),
            (&json!("text"), &json!("second"))
        );
    }
    send(&mut session, &chat, &revoke(target(&ours, true))).await;
    for phone in [&other, &own] {
        shown(&world, phone, &ours, |entry| entry["kind"] == "revoked").await;
    }

    let theirs = says(
        &world,
        &other,
        json!({"to": own, "kind": "text", "text": "and you?"}),
    )
    .await;
    assert_eq!(session.committed().await.whatsapp_id, theirs);
    send(&mut session, &chat, &reaction(target(&theirs, false), "🎉")).await;
    // Bob's own inbox lists what he wrote only where asked; the reaction names it.
    let is_reaction = |entry: &Value| entry["kind"] == "reaction" && entry["text"] == "🎉";
    let inbox = world.inbox(&other, |inbox| inbox.iter().any(is_reaction)).await;
    let shown = inbox.iter().find(|entry| is_reaction(entry)).expect("there");
    assert_eq!(shown["quoted"], json!(theirs));
    world.nothing_queued().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_say_of_messages_comes_in_as_the_account_sees_it() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let ours = send(&mut session, &to(&other), &Content::text("ours")).await;
    for phone in [&other, &own] {
        shown(&world, phone, &ours, |_| true).await;
    }
    says(
        &world,
        &other,
        json!({"to": own, "kind": "reaction", "messageId": ours, "emoji": "👍"}),
    )
    .await;
    assert_eq!(
        session.committed().await.content,
        reaction(target(&ours, true), "👍")
    );

    let theirs = says(
        &world,
        &other,
        json!({"to": own, "kind": "text", "text": "first"}),
    )
    .await;
    assert_eq!(session.committed().await.whatsapp_id, theirs);
    says(
        &world,
        &other,
        json!({"to": own, "kind": "edit", "messageId": theirs, "text": "second"}),
    )
    .await;
    assert_eq!(
        session.committed().await.content,
        edit(target(&theirs, false), "second")
    );
    says(
        &world,
        &other,
        json!({"to": own, "kind": "reaction", "messageId": theirs, "emoji": ""}),
    )
    .await;
    assert_eq!(
        session.committed().await.content,
        reaction(target(&theirs, false), "")
    );
    says(
        &world,
        &other,
        json!({"to": own, "kind": "revoke", "messageId": theirs}),
    )
    .await;
    assert_eq!(session.committed().await.content, revoke(target(&theirs, false)));

    // The phone of the account says things too; of an own message the library knows the secret.
    for (body, wanted) in [
        (
            json!({"to": other, "kind": "edit", "messageId": ours, "text": "by the phone"}),
            edit(target(&ours, true), "by the phone"),
        ),
        (
            json!({"to": other, "kind": "edit", "messageId": ours, "text": "sealed", "sealed": true}),
            edit(target(&ours, true), "sealed"),
        ),
        (
            json!({"to": other, "kind": "reaction", "messageId": ours, "emoji": "🎉"}),
            reaction(target(&ours, true), "🎉"),
        ),
        (
            json!({"to": other, "kind": "revoke", "messageId": ours}),
            revoke(target(&ours, true)),
        ),
    ] {
        says(&world, &own, body).await;
        let said = session.committed().await;
        assert!(said.from_me);
        assert_eq!(said.content, wanted);
    }
    world.nothing_queued().await;
}

/// What a message says, and whose the message is that it is about.
fn about(message: &InboundMessage) -> (&Content, &Target) {
    (&message.content, message.content.target().expect("about another"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_group_authors_are_named_and_admins_take_back_what_others_wrote() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let (bob, carol) = (world.phone("Bob").await, world.phone("Carol").await);
    let mut session = world.paired(&own, 1).await;
    let body = json!({"subject": "All", "participants": [own, carol]});
    let made = world.admin(&format!("/admin/phones/{bob}/groups"), body).await;
    let jid = made["id"].as_str().expect("a JID").to_owned();
    let group: Recipient = jid.parse().expect("a group");

    let theirs = says(
        &world,
        &carol,
        json!({"to": jid, "kind": "text", "text": "Carol's"}),
    )
    .await;
    let message = session.committed().await;
    assert_eq!(message.whatsapp_id, theirs);
    let of_carol = Target {
        author: message.from.clone(),
        ..target(&theirs, false)
    };
    shown(&world, &bob, &theirs, |_| true).await;
    says(
        &world,
        &bob,
        json!({"to": jid, "kind": "reaction", "messageId": theirs, "emoji": "👍"}),
    )
    .await;
    let reacted = session.committed().await;
    let (_, named) = about(&reacted);
    assert_eq!(named.author.is_same_as(&message.from), Some(true));
    says(
        &world,
        &carol,
        json!({"to": jid, "kind": "edit", "messageId": theirs, "text": "better"}),
    )
    .await;
    let edited = session.committed().await;
    assert_eq!(edited.content, edit(of_carol.clone(), "better"));

    let ours = send(&mut session, &group, &Content::text("ours")).await;
    for phone in [&bob, &carol] {
        shown(&world, phone, &ours, |_| true).await;
    }
    says(
        &world,
        &carol,
        json!({"to": jid, "kind": "reaction", "messageId": ours, "emoji": "👍"}),
    )
    .await;
    assert_eq!(
        session.committed().await.content,
        reaction(target(&ours, true), "👍")
    );
    send(&mut session, &group, &edit(target(&ours, true), "ours, edited")).await;
    shown(&world, &bob, &ours, |entry| entry["text"] == "ours, edited").await;
    send(&mut session, &group, &reaction(of_carol.clone(), "🎉")).await;
    shown(&world, &bob, &theirs, |entry| {
        let reactions = entry["reactions"].as_array().into_iter().flatten();
        reactions
            .clone()
            .any(|one| one["from"] == json!(own) && one["text"] == "🎉")
    })
    .await;

    // Not an admin yet.
    let message = MessageId::new(SystemClock.now());
    let refused = session
        .connection
        .send(message, &group, &revoke(of_carol.clone()).into())
        .await;
    assert!(
        matches!(refused, Err(SendError::Refused(FailureCode::RefusedForbidden))),
        "{refused:?}"
    );
    let promote = json!({"action": "promote", "participants": [own]});
    let path = format!("/admin/phones/{bob}/groups/{jid}/participants");
    world.admin(&path, promote).await;
    send(&mut session, &group, &revoke(of_carol)).await;
    shown(&world, &bob, &theirs, |entry| entry["kind"] == "revoked").await;

    // And an admin takes back what we wrote.
    says(
        &world,
        &bob,
        json!({"to": jid, "kind": "revoke", "messageId": ours}),
    )
    .await;
    assert_eq!(session.committed().await.content, revoke(target(&ours, true)));
    world.nothing_queued().await;
}
