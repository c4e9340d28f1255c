//! Another text in place of a message's.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::{Body, MAX_TOLD, Target, cut};

/// How long after it was sent a text can be edited: WhatsApp's apps offer it for as long.
pub const EDIT_WINDOW: TimeDelta = TimeDelta::minutes(15);

/// An edit of a message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The message.
    pub target: Target,
    /// What it says now: its text, or the words beside what it shows.
    pub text: String,
}

impl Body for Edit {
    fn shorten(&mut self) -> bool {
        cut(&mut self.text, MAX_TOLD)
    }
}
