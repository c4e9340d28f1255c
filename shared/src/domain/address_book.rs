//! The phone's address book, as WhatsApp brings it to the devices that are linked to the phone.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::person::Person;
use super::recipient::Recipient;

/// The longest name that is kept, in bytes. Phones keep shorter ones.
const MAX_NAME: usize = 512;

/// Somebody whom the phone's owner has saved.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SavedContact {
    /// By number, LID or both.
    #[serde(flatten)]
    pub person: Person,
    /// The name under which the person is saved.
    #[serde(default)]
    pub name: Option<String>,
    /// The first of it, where the phone tells that apart.
    #[serde(default)]
    pub first_name: Option<String>,
}

/// Names stay out of logs.
impl fmt::Debug for SavedContact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SavedContact").finish_non_exhaustive()
    }
}

impl SavedContact {
    /// The name by which the contact is known in the book: the number, or else the LID. `None` where it has neither.
    pub fn key(&self) -> Option<Recipient> {
        self.person.names().next()
    }

    /// The same with names cut to what is kept.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        for name in [&mut self.name, &mut self.first_name].into_iter().flatten() {
            name.truncate(name.floor_char_boundary(MAX_NAME));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let contact = SavedContact {
            person: Person::default(),
            name: Some("é".repeat(400)),
            first_name: Some("Ada".to_owned()),
        };
        let contact = contact.shortened();
        assert_eq!(contact.name.expect("a name").len(), 512);
        assert_eq!(contact.first_name.as_deref(), Some("Ada"));
    }
}
