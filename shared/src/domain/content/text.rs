//! Text.

use serde::{Deserialize, Serialize};

use super::{Body, Content, cut};

/// The longest text that one can send, in Unicode scalar values.
pub const MAX_SENT: usize = 4_096;

/// The longest text that an event tells, in Unicode scalar values: as much as WhatsApp's apps
/// let one write. A longer one is cut, and the event says so. In JSON, sealed and in base64 it
/// stays below what a queue takes, whatever its characters.
pub const MAX_TOLD: usize = 65_536;

/// A text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// The text itself.
    pub text: String,
}

impl Content {
    /// A text that says this.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(Text { text: text.into() })
    }
}

impl Body for Text {
    fn shorten(&mut self) -> bool {
        cut(&mut self.text, MAX_TOLD)
    }
}
