//! What is sealed, by who may read it.

use std::fmt;

/// What a data key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Message bodies and the like, which functions and the daemon read.
    Content,
    /// WhatsApp session state, which the daemon alone may read: it is the account.
    Session,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 2] = [Self::Content, Self::Session];

    /// The word that keys and encryption contexts use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Session => "session",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
