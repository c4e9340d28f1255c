//! Questions about contacts: who is on WhatsApp, what somebody shows, whom the account blocks.

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::domain::person::Person;
use crate::domain::recipient::Recipient;

/// Who of these people is on WhatsApp?
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LookUp {
    /// By number or LID, none twice.
    pub contacts: Vec<Recipient>,
}

/// Who is on WhatsApp, in the order asked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Looked {
    /// One for each contact.
    pub found: Vec<Found>,
}

impl LookUp {
    pub(super) fn lessons(&self, told: Result<&Looked, Refusal>) -> Vec<(Recipient, Found)> {
        let found = told.map_or(&[][..], |looked| &looked.found);
        self.contacts.iter().cloned().zip(found.iter().cloned()).collect()
    }
}

/// What does this person show of themselves?
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Show {
    /// By number or LID.
    pub contact: Recipient,
}

/// What a person shows the account of themselves.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The number as WhatsApp spells it, and the LID.
    pub person: Person,
    /// The name that WhatsApp has verified, of a business.
    #[serde(default)]
    pub business_name: Option<String>,
    /// What the person says about themselves, where they let the account see it.
    #[serde(default)]
    pub about: Option<String>,
    /// The profile of a business.
    #[serde(default)]
    pub business: Option<Business>,
}

impl Show {
    pub(super) fn lessons(&self, told: Result<&Shown, Refusal>) -> Vec<(Recipient, Found)> {
        let found = told.map(|shown| Found::There {
            person: shown.person.clone(),
            business_name: shown.business_name.clone(),
        });
        of_one(&self.contact, found)
    }
}

/// Block this person, or let them reach the account again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Block {
    /// By number or LID.
    pub contact: Recipient,
    /// Whether they are to be blocked.
    pub blocked: bool,
}

/// It is so, by these names of the person as far as they are known.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blocked {
    /// Whom it is about.
    pub person: Person,
}

impl Block {
    /// Whom a block is of may be known without asking WhatsApp, so only a refusal says something.
    pub(super) fn lessons(&self, told: Result<&Blocked, Refusal>) -> Vec<(Recipient, Found)> {
        of_one(&self.contact, told.map(|_| Found::Unsaid))
    }
}

/// Whom does the account block?
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListBlocked {
    /// Those whose JIDs come after this one.
    #[serde(default)]
    pub after: Option<String>,
    /// How many at most.
    pub most: u32,
}

/// Whom the account blocks, in the order of their JIDs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockList {
    /// As many as were asked for, where there are so many.
    pub people: Vec<BlockedPerson>,
}

/// Somebody whom the account blocks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockedPerson {
    /// Their name in WhatsApp's list.
    pub jid: String,
    /// Their names as far as they are known.
    #[serde(flatten)]
    pub person: Person,
}

/// Where is this person's picture?
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FindPicture {
    /// By number or LID.
    pub contact: Recipient,
}

/// Where a person's picture is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundPicture {
    /// None where the person has none, or does not let the account see it.
    pub picture: Option<Picture>,
}

/// Where a picture is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Changes with the picture.
    pub id: String,
    /// Its address, a secret of those who may see it.
    pub url: String,
}

fn of_one(contact: &Recipient, found: Result<Found, Refusal>) -> Vec<(Recipient, Found)> {
    let found = match found {
        Ok(Found::Unsaid) => return Vec::new(),
        Ok(found) => found,
        Err(Refusal::NotOnWhatsapp) => Found::Absent,
        Err(_) => return Vec::new(),
    };
    vec![(contact.clone(), found)]
}

/// The profile of a business. What it does not say is not there.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Business {
    /// What it does.
    #[serde(default)]
    pub description: Option<String>,
    /// Its e-mail address.
    #[serde(default)]
    pub email: Option<String>,
    /// Its web sites.
    #[serde(default)]
    pub websites: Vec<String>,
    /// Its categories, by their names.
    #[serde(default)]
    pub categories: Vec<String>,
    /// Where it is.
    #[serde(default)]
    pub address: Option<String>,
}

/// Content stays out of logs.
impl std::fmt::Debug for Business {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Business").finish_non_exhaustive()
    }
}

/// What WhatsApp says of a contact that was looked up.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Found {
    /// On WhatsApp.
    There {
        /// The number as WhatsApp spells it, and the LID.
        #[serde(flatten)]
        person: Person,
        /// The name that WhatsApp has verified, of a business.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        business_name: Option<String>,
    },
    /// Not on WhatsApp.
    Absent,
    /// WhatsApp does not say.
    #[serde(other)]
    Unsaid,
}

/// Names stay out of logs.
impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::There { .. } => "There(…)",
            Self::Absent => "Absent",
            Self::Unsaid => "Unsaid",
        })
    }
}
