//! Contacts, one or several.

use shared::domain::content::{Card, Contact, Content};
use wacore::proto_helpers::MessageExt as _;
use waproto::whatsapp as wa;

/// One contact and several are different messages.
pub fn write(contact: &Contact) -> wa::Message {
    let cards = contact.contacts.iter().map(|card| wa::message::ContactMessage {
        display_name: Some(card.name.clone()),
        vcard: card.vcard.clone(),
        ..wa::message::ContactMessage::default()
    });
    let mut cards: Vec<_> = cards.collect();
    if cards.len() == 1 {
        wa::Message {
            contact_message: cards.pop().into(),
            ..wa::Message::default()
        }
    } else {
        wa::Message {
            contacts_array_message: buffa::MessageField::some(wa::message::ContactsArrayMessage {
                display_name: Some(format!("{} contacts", cards.len())),
                contacts: cards,
                ..wa::message::ContactsArrayMessage::default()
            }),
            ..wa::Message::default()
        }
    }
}

pub fn read(message: &wa::Message) -> Option<Content> {
    let base = message.get_base_message();
    let cards = if let Some(one) = base.contact_message.as_option() {
        std::slice::from_ref(one)
    } else {
        &base.contacts_array_message.as_option()?.contacts
    };
    let contacts = cards.iter().map(|card| {
        Card::read(
            card.display_name.as_deref(),
            card.vcard.as_deref().unwrap_or_default(),
        )
    });
    Some(Content::Contact(Contact {
        contacts: contacts.collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_contacts_are_one_message() {
        let card = |name: &str| Card::of(name, &"15550100001".parse().expect("a number"));
        let contacts = Contact {
            contacts: vec![card("Ada"), card("Grace")],
        };
        let message = write(&contacts);
        assert!(message.contacts_array_message.is_set() && !message.contact_message.is_set());
        assert_eq!(read(&message), Some(Content::Contact(contacts)));
    }
}
