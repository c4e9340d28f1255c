//! What stands beside content, out and in: quotes, mentions, and what was forwarded or disappears.

use daemon::connection::ChatState;
use serde_json::{Value, json};
use shared::domain::content::{Content, Context, Kind, Quoted, Said};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use testbed::wait::until;

use crate::world::{World, to};

fn person(phone: &str) -> Person {
    Person {
        phone: Some(phone.to_owned()),
        lid: None,
    }
}

fn reply(text: &str, quoted: Quoted) -> Said {
    Said {
        content: Content::text(text),
        context: Context {
            quoted: Some(Box::new(quoted)),
            ..Context::default()
        },
    }
}

impl World {
    /// A person's LID, its digits alone.
    async fn lid(&self, phone: &str) -> String {
        let phones = self.sandbox.phones().await.expect("listed");
        let info = phones.into_iter().find(|info| info.phone == phone);
        info.expect("the phone").lid
    }

    async fn says(&self, phone: &str, body: Value) -> String {
        let sent = self.admin(&format!("/admin/phones/{phone}/send"), body).await;
        sent["id"].as_str().expect("an id").to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quote_goes_out_and_one_comes_in() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    let asked = world
        .says(&other, json!({"to": own, "kind": "text", "text": "where?"}))
        .await;
    assert!(session.committed().await.context == Context::default());
    let message = MessageId::from_bytes([7; 16]);
    let quoted = Quoted {
        id: None,
        whatsapp_id: asked.clone(),
        from: person(&other),
        from_me: false,
        kind: Kind::Text,
        text: Some("where?".to_owned()),
    };
    session
        .connection
        .send(message, &to(&other), &reply("here", quoted))
        .await
        .expect("on the wire");
    assert_eq!(session.acknowledged(&message.to_whatsapp()).await, None);
    let inbox = world.inbox(&other, |inbox| !inbox.is_empty()).await;
    assert_eq!(
        (&inbox[0]["text"], &inbox[0]["quoted"], &inbox[0]["quotedText"]),
        (&json!("here"), &json!(asked), &json!("where?"))
    );
    assert_eq!(inbox[0]["quotedFrom"], format!("{other}@s.whatsapp.net"));

    // Of an own message whose text nobody gave.
    let second = MessageId::from_bytes([8; 16]);
    let quoted = Quoted {
        id: Some(message),
        whatsapp_id: message.to_whatsapp(),
        from: Person::default(),
        from_me: true,
        kind: Kind::Location,
        text: None,
    };
    session
        .connection
        .send(second, &to(&other), &reply("see", quoted))
        .await
        .expect("on the wire");
    let inbox = world.inbox(&other, |inbox| inbox.len() == 2).await;
    assert_eq!(inbox[1]["quoted"], message.to_whatsapp());
    assert_eq!(inbox[1]["quotedFrom"], format!("{own}@s.whatsapp.net"));

    let body = json!({
        "to": own, "kind": "text", "text": "thanks", "replyTo": message.to_whatsapp(), "forwarded": true,
        "expiresIn": 86400,
    });
    world.says(&other, body).await;
    let told = session.committed().await;
    assert_eq!(told.content, Content::text("thanks"));
    let own_lid = world.lid(&own).await;
    let quoted = Quoted {
        id: None,
        whatsapp_id: message.to_whatsapp(),
        from: Person {
            phone: Some(own),
            lid: Some(own_lid),
        },
        from_me: true,
        kind: Kind::Text,
        text: Some("here".to_owned()),
    };
    let context = told.context;
    assert!(
        context.quoted.as_deref() == Some(&quoted),
        "{:?}",
        context.quoted.map(|quoted| (quoted.from, quoted.kind))
    );
    assert_eq!(
        (context.forwarded, context.ephemeral_seconds),
        (true, Some(86_400))
    );
    world.nothing_queued().await;
}

/// A group calls its members by LID, whatever the caller calls them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_group_are_mentioned_as_the_group_calls_them() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let (bob, carol, stranger) = (
        world.phone("Bob").await,
        world.phone("Carol").await,
        world.phone("Stranger").await,
    );
    let mut session = world.paired(&own, 1).await;
    let body = json!({"subject": "All", "participants": [own, carol]});
    let made = world.admin(&format!("/admin/phones/{bob}/groups"), body).await;
    let group = made["id"].as_str().expect("a JID").to_owned();
    let room: Recipient = group.parse().expect("a group");
    let lids = [
        world.lid(&bob).await,
        world.lid(&carol).await,
        world.lid(&own).await,
    ];

    let asked = world
        .says(&carol, json!({"to": group, "kind": "text", "text": "who?"}))
        .await;
    session.committed().await;
    let message = MessageId::from_bytes([7; 16]);
    let said = Said {
        content: Content::text(format!("@{bob} and @{}, not @{stranger} or @{own}", lids[1])),
        context: Context {
            mentions: vec![
                person(&bob),
                Person {
                    phone: None,
                    lid: Some(lids[1].clone()),
                },
                person(&carol),
                person(&stranger),
                person(&own),
            ],
            quoted: Some(Box::new(Quoted {
                id: None,
                whatsapp_id: asked.clone(),
                from: person(&carol),
                from_me: false,
                kind: Kind::Text,
                text: None,
            })),
            ..Context::default()
        },
    };
    let sent = session.connection.send(message, &room, &said).await;
    sent.expect("on the wire");
    let id = message.to_whatsapp();
    let is_there = |inbox: &[Value]| inbox.iter().any(|entry| entry["id"] == id);
    let inbox = world.inbox(&bob, is_there).await;
    let shown = inbox.iter().find(|entry| entry["id"] == id).expect("there");
    assert_eq!(
        shown["text"],
        format!("@{} and @{}, not @{stranger} or @{}", lids[0], lids[1], lids[2])
    );
    let jid = |lid: &str| format!("{lid}@lid");
    assert_eq!(
        shown["mentions"],
        json!([
            jid(&lids[0]),
            jid(&lids[1]),
            format!("{stranger}@s.whatsapp.net"),
            jid(&lids[2])
        ])
    );
    assert_eq!(
        (&shown["quoted"], &shown["quotedFrom"]),
        (&json!(asked), &json!(jid(&lids[1])))
    );

    let body = json!({"to": group, "kind": "text", "text": "me?", "mentions": [own, carol]});
    world.says(&bob, body).await;
    let told = session.committed().await;
    let mentioned = [(&own, &lids[2]), (&carol, &lids[1])].map(|(phone, lid)| Person {
        phone: Some(phone.clone()),
        lid: Some(lid.clone()),
    });
    assert_eq!(told.context.mentions, mentioned);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_shows_who_types_and_who_no_longer_does() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let session = world.paired(&own, 1).await;
    let path = format!("/admin/phones/{other}/typing");
    for (state, wanted) in [(ChatState::Typing, "composing"), (ChatState::Paused, "paused")] {
        // A session gives up on what it cannot show soon.
        until("on the wire", async || {
            session.connection.show(&to(&other), state).await.ok()
        })
        .await;
        let shown = world.until(&path, |seen| seen[0]["state"] == wanted).await;
        assert_eq!(shown[0]["from"], own);
    }
}
