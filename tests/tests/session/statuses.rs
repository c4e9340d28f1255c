//! Statuses: out to those who may see them; what others show is nobody's message.

use std::collections::BTreeSet;

use daemon::connection::{Chosen, ReceiptKind, SessionEvent};
use serde_json::{Value, json};
use shared::domain::address_book::SavedContact;
use shared::domain::content::{Content, Revoke, Said, Status, Target};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;

use crate::world::{Running, World, text_of, to};

pub fn saved(phone: &str) -> SavedContact {
    SavedContact {
        person: Person::of(&to(phone)),
        name: Some("A friend".to_owned()),
        first_name: None,
    }
}

impl Running {
    async fn shows(&mut self, byte: u8, said: Said) -> String {
        let message = MessageId::from_bytes([byte; 16]);
        let audience = self.connection.audience().await.expect("told");
        let sending = self.connection.send_status(message, &said, &audience);
        sending.await.expect("on the wire");
        let id = message.to_whatsapp();
        let acknowledged = self.acknowledged_in(&id).await;
        assert_eq!(acknowledged, (None, Some(Recipient::Status)));
        id
    }
}

pub fn text(text: &str) -> Said {
    let status = Box::new(Content::text(text));
    Content::Status(Status { status }).into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_see_a_status_and_others_do_not() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let (bob, carol) = (world.phone("Bob").await, world.phone("Carol").await);
    let mut session = world.paired(&own, 1).await;
    // One of them is on no phone, and is no reason to hold anything up.
    *session.book.0.lock().expect("no holder panics") = vec![saved(&bob), saved("15550999999"), saved(&own)];
    let members = session
        .connection
        .group_members(&Recipient::Status)
        .await
        .expect("told");
    let phones: Vec<_> = members
        .iter()
        .filter_map(|member| member.phone.as_deref())
        .collect();
    assert_eq!(phones, [bob.as_str()]);
    assert!(members.iter().all(|member| member.lid.is_some()));

    let id = session.shows(7, text("the sea")).await;
    let is_status = |shown: &Value| shown["id"] == json!(id);
    for phone in [&bob, &own] {
        let inbox = world.inbox(phone, |inbox| inbox.iter().any(is_status)).await;
        let shown = inbox.iter().find(|shown| is_status(shown)).expect("a status");
        assert_eq!(
            (&shown["chat"], &shown["from"]),
            (&json!("status@broadcast"), &json!(own))
        );
        assert_eq!(
            (&shown["kind"], &shown["text"]),
            (&json!("text"), &json!("the sea"))
        );
        assert_eq!(shown["copies"], json!(1));
    }
    let read = json!({"all": true});
    world.admin(&format!("/admin/phones/{bob}/read"), read).await;
    for wanted in [ReceiptKind::Delivered, ReceiptKind::Read] {
        let reader = session.until("a receipt", |event| match event {
            SessionEvent::Receipt {
                kind,
                group: Some(Recipient::Status),
                whatsapp_ids,
                reader,
                ..
            } if kind == wanted && whatsapp_ids == [id.clone()] => Some(reader),
            _ => None,
        });
        // A receipt gives one of the names.
        assert_eq!(reader.await.is_same_as(&members[0]), Some(true));
    }

    // The second goes out under the key that those who see it have.
    session.shows(8, text("the shore")).await;
    let target = Target {
        whatsapp_id: id.clone(),
        from_me: true,
        author: Person::default(),
    };
    session.shows(9, Content::Revoke(Revoke { target }).into()).await;
    let inbox = world.inbox(&bob, |inbox| {
        inbox.len() == 2
            && inbox
                .iter()
                .any(|shown| is_status(shown) && shown["kind"] == "revoked")
    });
    assert_eq!(inbox.await[1]["text"], "the shore");

    // Who is not in the book has got nothing by the time that a text arrives.
    let message = MessageId::from_bytes([10; 16]);
    let (to, said) = (to(&carol), Said::text("in person"));
    let sending = session.connection.send(message, &to, &said);
    sending.await.expect("on the wire");
    let inbox = world.inbox(&carol, |inbox| !inbox.is_empty()).await;
    assert_eq!((inbox.len(), &inbox[0]["text"]), (1, &json!("in person")));
}

/// More numbers than one question takes are not on WhatsApp.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_book_full_of_numbers_that_are_not_there_has_an_audience() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let (bob, carol) = (world.phone("Bob").await, world.phone("Carol").await);
    let session = world.paired(&own, 1).await;
    let absent = (0..450).map(|n| saved(&format!("15550999{n:03}")));
    let there = [saved(&bob), saved(&carol)];
    *session.book.0.lock().expect("no holder panics") = absent.chain(there).collect();
    for _ in 0..2 {
        let audience = session.connection.audience().await.expect("found");
        assert_eq!(audience.chosen, Chosen::Contacts);
        let phones = audience.people.into_iter().filter_map(|person| person.phone);
        let both = BTreeSet::from([bob.clone(), carol.clone()]);
        assert_eq!(phones.collect::<BTreeSet<_>>(), both);
    }
}

/// As in the apps: it is there for the account's own devices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_without_contacts_shows_a_status_to_itself() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let mut session = world.paired(&own, 1).await;
    let id = session.shows(7, text("to myself")).await;
    let inbox = world.inbox(&own, |inbox| !inbox.is_empty()).await;
    assert_eq!(
        (&inbox[0]["id"], &inbox[0]["chat"]),
        (&json!(id), &json!("status@broadcast"))
    );
    let members = session.connection.group_members(&Recipient::Status).await;
    assert_eq!(members.expect("told"), []);
}

/// A status is said to nobody in particular: whoever answers messages by themselves must not answer that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_contacts_show_is_no_message_that_came_in() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    // Whoever has written to somebody has them as a contact.
    world.send(&other, &own, "first").await;
    assert_eq!(text_of(&session.committed().await).as_deref(), Some("first"));
    let path = format!("/admin/phones/{other}/send");
    world
        .admin(&path, json!({"to": "status", "kind": "text", "text": "the sea"}))
        .await;
    world.send(&other, &own, "second").await;
    assert_eq!(text_of(&session.committed().await).as_deref(), Some("second"));
    world.nothing_queued().await;
}
