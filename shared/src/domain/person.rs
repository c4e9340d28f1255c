//! The two names of a person: WhatsApp is moving from phone numbers to LIDs, and either
//! may be all that is known.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::recipient::Recipient;

/// The longest name of a person that is kept where nothing may be large, in bytes. Numbers and LIDs have some twenty
/// digits.
pub const MAX_NAME: usize = 64;

/// A person as payloads show one: both members are always there, `null` where WhatsApp
/// gives none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// The phone number's digits in E.164, without `+`.
    pub phone: Option<String>,
    /// The LID's digits.
    pub lid: Option<String>,
}

impl Person {
    /// Whether both are the same person: by LID if both have one, else by phone number. (A number may go to somebody
    /// else, a LID does not.) `None` where they have no kind of name in common.
    pub fn is_same_as(&self, other: &Self) -> Option<bool> {
        let same = |one: &Option<String>, another: &Option<String>| Some(one.as_ref()? == another.as_ref()?);
        same(&self.lid, &other.lid).or_else(|| same(&self.phone, &other.phone))
    }

    /// The person of a chat, by the one name that it gives; nobody of a group and of a status.
    pub fn of(chat: &Recipient) -> Self {
        Self {
            phone: chat.phone().map(str::to_owned),
            lid: chat.lid().map(str::to_owned),
        }
    }

    /// The same without names of more than `most` bytes.
    #[must_use]
    pub fn within(&self, most: usize) -> Self {
        let kept = |name: &Option<String>| name.clone().filter(|name| name.len() <= most);
        Self {
            phone: kept(&self.phone),
            lid: kept(&self.lid),
        }
    }

    /// Whether neither name is known.
    pub fn is_nobody(&self) -> bool {
        self.phone.is_none() && self.lid.is_none()
    }

    /// Whether this is one of the person's names.
    pub fn is_named(&self, name: &Recipient) -> bool {
        match name {
            Recipient::Phone(digits) => self.phone.as_ref() == Some(digits),
            Recipient::Lid(digits) => self.lid.as_ref() == Some(digits),
            Recipient::Group(_) | Recipient::Status | Recipient::Unknown(_) => false,
        }
    }

    /// The names that are known, as chats: the number first.
    pub fn names(&self) -> impl Iterator<Item = Recipient> {
        let phone = self.phone.clone().map(Recipient::Phone);
        phone.into_iter().chain(self.lid.clone().map(Recipient::Lid))
    }
}

/// What an instance knows of a person whom it has met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acquaintance {
    /// The names: the number as WhatsApp spells it, and the LID.
    pub person: Person,
    /// The canonical chat: the name under which the person was first met. Keys, lanes, locks and records go by it.
    pub chat: Recipient,
    /// Whether the person is on WhatsApp, where that was looked up.
    pub on_whatsapp: Option<Belief>,
    /// What WhatsApp said of the person, where they were looked up and found.
    pub looked_up: Option<LookedUp>,
    /// The digits of the number as others write it, where somebody has named the person so.
    pub spellings: Vec<String>,
}

impl Acquaintance {
    /// Somebody of whom nothing but this name is known.
    pub fn stranger(name: &Recipient) -> Self {
        Self {
            spellings: Vec::new(),
            person: Person::of(name),
            chat: name.clone(),
            on_whatsapp: None,
            looked_up: None,
        }
    }

    /// Every name by which the person is found: the number as WhatsApp spells it, the LID, and other spellings.
    pub fn names(&self) -> impl Iterator<Item = Recipient> {
        let spellings = self.spellings.iter().cloned().map(Recipient::Phone);
        self.person.names().chain(spellings)
    }

    /// Whether this is one of [`Self::names`].
    pub fn is_named(&self, name: &Recipient) -> bool {
        self.person.is_named(name) || name.phone().is_some_and(|digits| self.is_spelt(digits))
    }

    /// Whether the person's number is written so by others than WhatsApp.
    pub fn is_spelt(&self, digits: &str) -> bool {
        self.spellings.iter().any(|spelling| spelling == digits)
    }

    /// The name that WhatsApp knows the person by, where `name` is another spelling of the number; else `name`.
    pub fn as_spelt(&self, name: &Recipient) -> Recipient {
        let spelt = name.phone().filter(|digits| self.is_spelt(digits));
        let known = spelt.and(self.person.phone.clone()).map(Recipient::Phone);
        known.unwrap_or_else(|| name.clone())
    }

    /// What a look-up said that found the person and is still believed at `now`.
    pub fn is_known_as(&self, now: DateTime<Utc>) -> Option<&LookedUp> {
        self.looked_up.as_ref().filter(|said| now < said.until)
    }

    /// Whether a look-up that is still believed at `now` did not find the person on WhatsApp.
    pub fn is_known_to_be_absent(&self, now: DateTime<Utc>) -> bool {
        self.on_whatsapp
            .is_some_and(|belief| !belief.is_there && now < belief.until)
    }
}

/// What WhatsApp said of a person who was looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookedUp {
    /// The name that WhatsApp has verified, of a business.
    pub business_name: Option<String>,
    /// Until when that is believed.
    pub until: DateTime<Utc>,
}

/// What a look-up of a person on WhatsApp found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Belief {
    /// Whether the person is there.
    pub is_there: bool,
    /// Until when that is believed.
    pub until: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(phone: Option<&str>, lid: Option<&str>) -> Person {
        Person {
            phone: phone.map(str::to_owned),
            lid: lid.map(str::to_owned),
        }
    }

    #[test]
    fn a_lid_says_more_than_a_number() {
        let known = person(Some("15550100000"), Some("100000000000000"));
        let moved = person(Some("15550100009"), Some("100000000000000"));
        let heir = person(Some("15550100000"), Some("100000000000009"));
        assert_eq!(known.is_same_as(&moved), Some(true));
        assert_eq!(known.is_same_as(&heir), Some(false));
        assert_eq!(known.is_same_as(&person(Some("15550100000"), None)), Some(true));
        assert_eq!(known.is_same_as(&person(Some("15550100001"), None)), Some(false));
        assert_eq!(
            person(None, Some("1")).is_same_as(&person(Some("15550100000"), None)),
            None
        );
    }
}
