//! What phones show.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::phones::Phones;

/// The chat in which statuses are shown.
pub const STATUSES: &str = "status@broadcast";

/// A message as a phone shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its id at WhatsApp.
    pub id: String,
    /// The other side's number, or [`STATUSES`].
    pub chat: String,
    /// What it is.
    pub kind: String,
    /// Its text, where it has one.
    pub text: Option<String>,
    /// The id of the message that it is about: what it quotes or reacts to.
    pub about: Option<String>,
    /// Whether the phone has its file, whole.
    pub has_file: bool,
    /// How often it arrived.
    pub copies: u64,
    /// How often the phone could not read it and had it encrypted again.
    pub retries: u64,
    /// When it arrived first.
    pub received_at: DateTime<Utc>,
}

impl Shown {
    fn of(entry: &Value) -> Self {
        let text = |name: &str| entry[name].as_str().expect("a text").to_owned();
        Self {
            id: text("id"),
            chat: text("chat"),
            kind: text("kind"),
            text: entry["text"].as_str().map(str::to_owned),
            about: entry["quoted"].as_str().map(str::to_owned),
            has_file: entry["mediaSha256"].is_string(),
            copies: entry["copies"].as_u64().expect("a number"),
            retries: entry["retries"].as_u64().unwrap_or(0),
            received_at: text("receivedAt").parse().expect("RFC 3339"),
        }
    }
}

impl Phones {
    /// What a phone shows that came from this number, oldest first.
    pub async fn shown(&self, phone: &str, from: &str) -> Vec<Shown> {
        let inbox = self.inbox(phone).await;
        let from_it = inbox.iter().filter(|entry| entry["from"] == from);
        from_it.map(Shown::of).collect()
    }
}
