//! Contacts, out and in.

use serde_json::json;
use shared::domain::content::{Card, Contact, Content};
use shared::ids::MessageId;

use crate::world::{World, to};

fn card(name: &str) -> Card {
    Card::of(name, &"15550100003".parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn contacts_go_out_and_come_in() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    let mut session = world.paired(&own, 1).await;
    for (byte, contacts, kind, text) in [
        (7, vec![card("Ada Lovelace")], "contact", "Ada Lovelace"),
        (8, vec![card("Ada"), card("Grace")], "contacts", "2 contacts"),
    ] {
        let message = MessageId::from_bytes([byte; 16]);
        let content = Content::Contact(Contact {
            contacts: contacts.clone(),
        });
        let to = to(&other);
        let said = content.clone().into();
        let sending = session.connection.send(message, &to, &said);
        sending.await.expect("on the wire");
        let id = message.to_whatsapp();
        assert_eq!(session.acknowledged(&id).await, None);
        let inbox = world
            .inbox(&other, |inbox| inbox.iter().any(|one| one["id"] == id))
            .await;
        let shown = inbox.last().expect("a message");
        assert_eq!((&shown["kind"], &shown["text"]), (&json!(kind), &json!(text)));
        let shown = world.shown(&other, &id).await;
        let several = &shown.contacts_array_message.contacts;
        let cards = if kind == "contact" {
            vec![(*shown.contact_message).clone()]
        } else {
            several.clone()
        };
        let cards: Vec<_> = cards.into_iter().map(|card| card.vcard).collect();
        let wanted: Vec<_> = contacts.into_iter().map(|card| card.vcard).collect();
        assert_eq!(cards, wanted);
    }

    let path = format!("/admin/phones/{other}/send");
    let one = json!({"to": own, "kind": "contact", "name": "Ada", "phone": "15550100003"});
    world.admin(&path, one).await;
    let Content::Contact(Contact { contacts }) = session.committed().await.content else {
        panic!("a contact");
    };
    assert_eq!(contacts.len(), 1);
    assert_eq!(
        (contacts[0].name.as_str(), &contacts[0].phones[..]),
        ("Ada", &["15550100003".to_owned()][..])
    );
    let vcard = "BEGIN:VCARD\nVERSION:3.0\nFN:Grace\nTEL:+1 555 010 0004\nEND:VCARD";
    let several = json!({
        "to": own, "kind": "contacts", "contacts": [{"name": "Ada", "phone": "15550100003"}, {"vcard": vcard}],
    });
    world.admin(&path, several).await;
    let Content::Contact(Contact { contacts }) = session.committed().await.content else {
        panic!("contacts");
    };
    let told: Vec<_> = contacts
        .iter()
        .map(|card| (card.name.as_str(), card.phones[0].as_str()))
        .collect();
    assert_eq!(told, [("Ada", "15550100003"), ("Grace", "+1 555 010 0004")]);
    assert_eq!(contacts[1].vcard.as_deref(), Some(vcard));
    world.nothing_queued().await;
}
