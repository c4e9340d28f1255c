//! Contacts: people and businesses out of an address book, each with its card.

mod vcard;

use serde::{Deserialize, Serialize};

use super::{Body, MAX_TOLD, cut};
use crate::domain::phone::PhoneNumber;

pub use vcard::InvalidCards;

/// The longest name of a contact that one can send, in Unicode scalar values.
pub const MAX_CONTACT_NAME: usize = 255;

/// The most bytes of cards that one can send in a message.
pub const MAX_VCARD: usize = 65_536;

/// The most contacts of a message: as many as WhatsApp's apps let one choose.
pub const MAX_CONTACTS: usize = 257;

/// One contact or more.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// In the order in which they are shown.
    pub contacts: Vec<Card>,
}

/// A contact.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// The name that is shown.
    pub name: String,
    /// Its numbers, each once: digits where the card says that it is on WhatsApp, else as the card writes it.
    pub phones: Vec<String>,
    /// The card itself (vCard, RFC 2426 or 6350). Not told where it is too large.
    pub vcard: Option<String>,
}

impl Card {
    /// The card of somebody who is on WhatsApp, as WhatsApp's apps write it.
    pub fn of(name: &str, phone: &PhoneNumber) -> Self {
        Self {
            name: name.to_owned(),
            phones: vec![phone.to_string()],
            vcard: Some(vcard::of(name, phone)),
        }
    }

    /// A card that came in, under the name that was told with it. Without one it has the card's own.
    pub fn read(name: Option<&str>, vcard: &str) -> Self {
        let own = vcard::Properties::of(vcard);
        let name = name.filter(|name| !name.is_empty());
        Self {
            name: name.map_or_else(|| own.name().unwrap_or_default(), str::to_owned),
            phones: own.phones(),
            vcard: Some(vcard.to_owned()).filter(|vcard| !vcard.is_empty()),
        }
    }

    /// The cards of a text that is to be sent.
    pub fn parse(text: &str) -> Result<Vec<Self>, InvalidCards> {
        let cards = vcard::split(text)?;
        if cards.len() > MAX_CONTACTS {
            return Err(InvalidCards::TooMany);
        }
        let cards = cards.into_iter().map(|vcard| {
            let card = Self::read(None, &vcard);
            if card.name.trim().is_empty() {
                Err(InvalidCards::Nameless)
            } else {
                Ok(card)
            }
        });
        cards.collect()
    }

    fn len(&self) -> usize {
        let texts = self.phones.iter().chain([&self.name]);
        texts.map(|text| text.chars().count()).sum()
    }
}

impl Body for Contact {
    /// All names and numbers are told before any card is.
    fn shorten(&mut self) -> bool {
        let mut room = MAX_TOLD;
        let mut is_cut = self.contacts.len() > MAX_CONTACTS;
        self.contacts.truncate(MAX_CONTACTS);
        self.contacts.retain_mut(|card| {
            is_cut |= cut(&mut card.name, MAX_CONTACT_NAME);
            let rest = room.checked_sub(card.len());
            is_cut |= rest.is_none();
            room = rest.unwrap_or(room);
            rest.is_some()
        });
        for card in &mut self.contacts {
            let Some(vcard) = &card.vcard else { continue };
            if let Some(rest) = room.checked_sub(vcard.chars().count()) {
                room = rest;
            } else {
                card.vcard = None;
                is_cut = true;
            }
        }
        is_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::content::{Content, Kind};

    fn ada() -> Card {
        Card::of("Ada Lovelace", &"15550100001".parse().expect("a number"))
    }

    #[test]
    fn contacts_read_as_an_event_tells_them() {
        let content = Content::Contact(Contact {
            contacts: vec![ada()],
        });
        let json = serde_json::to_value(&content).expect("plain data");
        assert_eq!(json["kind"], "contact");
        let told = &json["contacts"][0];
        assert_eq!(told["name"], "Ada Lovelace");
        assert_eq!(told["phones"], serde_json::json!(["15550100001"]));
        assert!(
            told["vcard"]
                .as_str()
                .expect("a card")
                .contains("waid=15550100001")
        );
        assert!(serde_json::from_value::<Content>(json).expect("ours") == content);
        assert_eq!(content.kind(), Kind::Contact);
        assert_eq!(format!("{content:?}"), "Contact(…)");
    }

    #[test]
    fn a_card_that_was_made_is_read_alike() {
        let card = Card::of(
            "Müller; Söhne, \\ & Co.\nBerlin",
            &"4915112345678".parse().expect("one"),
        );
        let vcard = card.vcard.clone().expect("a card");
        assert!(Card::read(None, &vcard) == card, "{vcard}");
        assert!(Card::parse(&vcard).expect("a card") == [card]);
    }

    #[test]
    fn what_is_too_large_is_told_without_its_card() {
        let mut small = Contact {
            contacts: vec![ada(); 2],
        };
        assert!(!small.shorten());
        let mut large = Contact {
            contacts: vec![
                Card {
                    vcard: Some("x".repeat(MAX_TOLD)),
                    ..ada()
                },
                ada(),
            ],
        };
        assert!(large.shorten());
        let cards: Vec<_> = large.contacts.iter().map(|card| card.vcard.is_some()).collect();
        assert_eq!(cards, [false, true]);

        let mut many = Contact {
            contacts: vec![ada(); MAX_CONTACTS + 1],
        };
        assert!(many.shorten());
        assert_eq!(many.contacts.len(), MAX_CONTACTS);
        let mut odd = Contact {
            contacts: vec![
                Card {
                    phones: vec!["1".repeat(MAX_TOLD)],
                    ..ada()
                },
                Card {
                    name: "x".repeat(MAX_CONTACT_NAME + 1),
                    ..ada()
                },
            ],
        };
        assert!(odd.shorten());
        let lengths: Vec<_> = odd.contacts.iter().map(|card| card.name.len()).collect();
        assert_eq!(lengths, [MAX_CONTACT_NAME]);
    }
}
