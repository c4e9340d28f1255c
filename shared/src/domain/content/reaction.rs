//! What somebody feels about a message.

use serde::{Deserialize, Serialize};

use super::{Body, Target, cut};

/// The longest emoji, sent or told, in Unicode scalar values: two people with their skins, a heart and a kiss have ten.
pub const MAX_EMOJI: usize = 16;

/// A reaction to a message. The last one of a person counts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reaction {
    /// The message.
    pub target: Target,
    /// The emoji; empty where the person takes the reaction back.
    pub emoji: String,
}

impl Body for Reaction {
    fn shorten(&mut self) -> bool {
        cut(&mut self.emoji, MAX_EMOJI)
    }
}
