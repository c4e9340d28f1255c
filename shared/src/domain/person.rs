//! The two names of a person: WhatsApp is moving from phone numbers to LIDs, and either
//! may be all that is known.

use serde::{Deserialize, Serialize};

/// A person as payloads show one: both members are always there, `null` where WhatsApp
/// gives none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// The phone number's digits in E.164, without `+`.
    pub phone: Option<String>,
    /// The LID's digits.
    pub lid: Option<String>,
}
