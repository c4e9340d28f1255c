//! What is told of contacts: what they, or the account's own phone, have changed about them.

use serde::{Deserialize, Serialize};

use super::words::{self, PictureChange, Words};
use crate::domain::person::{MAX_NAME, Person};

/// The longest name that is told, in characters.
pub const MAX_CONTACT_WORDS: usize = 256;

/// The longest about text that is told, in characters. The apps allow 139.
pub const MAX_ABOUT: usize = 1_024;

/// The data of [`EventType::ContactUpdated`](super::EventType::ContactUpdated).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContactUpdated {
    /// Whom it is about; by the new names where the person has another number now.
    pub contact: Person,
    /// What is changed.
    pub changes: ContactChanges,
    /// Whether a text is not whole.
    #[serde(default)]
    pub truncated: bool,
}

/// What is changed about a contact: members that are not there are as before.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContactChanges {
    /// The name in the phone's address book.
    #[serde(
        default,
        deserialize_with = "words::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub name: Option<Words>,
    /// The first name in the phone's address book.
    #[serde(
        default,
        deserialize_with = "words::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub first_name: Option<Words>,
    /// The name that the person shows others.
    #[serde(
        default,
        deserialize_with = "words::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub push_name: Option<Words>,
    /// What the person says of themselves, empty for nothing.
    #[serde(
        default,
        deserialize_with = "words::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub about: Option<Words>,
    /// What became of the person's picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<PictureChange>,
    /// Whether the account has blocked the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked: Option<bool>,
    /// The person has another number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<NumberChange>,
}

/// A person's names before and after a change of number.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberChange {
    /// Before.
    pub from: Person,
    /// After.
    pub to: Person,
}

impl ContactUpdated {
    /// The same without names and what the person says.
    #[must_use]
    pub fn without_content(mut self) -> Self {
        let changes = &mut self.changes;
        for words in [
            &mut changes.name,
            &mut changes.first_name,
            &mut changes.push_name,
            &mut changes.about,
        ] {
            words::bare(words);
        }
        if let Some(number) = &mut changes.number {
            number.from = number.from.within(MAX_NAME);
            number.to = number.to.within(MAX_NAME);
        }
        self.contact = self.contact.within(MAX_NAME);
        self
    }
}
