//! Taking a message back from everyone.

use serde::{Deserialize, Serialize};

use super::{Body, Target};

/// A message that is taken back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoke {
    /// The message.
    pub target: Target,
}

impl Body for Revoke {
    fn shorten(&mut self) -> bool {
        false
    }
}
