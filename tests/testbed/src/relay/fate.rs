//! What becomes of a call.

use std::time::Duration;

/// What becomes of one call: how long it waits, whether it takes effect, and what its sender hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fate {
    pub(crate) delay: Duration,
    pub(crate) takes_effect: bool,
    pub(crate) reply: Reply,
}

/// What a sender hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The target's own answer.
    Real,
    /// The service asks for fewer calls, in its own words.
    Throttled,
    /// Another transaction has the item. Only a table says so, and only to writes; other calls pass.
    Conflict,
    /// The service's own 500, which does not tell whether the call took effect.
    Failed,
    /// A 500 with a page of HTML, as a load balancer before the service may answer.
    Garbled,
    /// An answer without anything: to a read, that its item is not there.
    Empty,
    /// Of a batch, that all of it is left, for want of capacity. Only a table says so, and only of batches; other calls pass.
    Left,
    /// The target's own answer to a batch of reads without its last key, with the word that this one was not read. Other
    /// calls pass.
    Unread,
    /// This status and this code of the service.
    Code(u16, &'static str),
    /// Nothing, for as long as the sender waits.
    Silence,
    /// The connection breaks.
    Broken,
}

impl Fate {
    /// It passes, as without a rule.
    pub const PASS: Self = Self {
        delay: Duration::ZERO,
        takes_effect: true,
        reply: Reply::Real,
    };

    /// It takes no effect: the service throttles.
    pub const THROTTLED: Self = Self::refused(Reply::Throttled);

    /// It takes no effect: another transaction has the item.
    pub const CONFLICT: Self = Self::refused(Reply::Conflict);

    /// It takes no effect, and the service answers 500.
    pub const FAILED: Self = Self::refused(Reply::Failed);

    /// It takes effect, and the service answers 500.
    pub const LOST: Self = Self::lost(Reply::Failed);

    /// It takes no effect, and the sender hears a 500 that is no error of AWS.
    pub const GARBLED: Self = Self::refused(Reply::Garbled);

    /// A read that does not see its item yet, as one that is eventually consistent may.
    pub const UNSEEN: Self = Self::refused(Reply::Empty);

    /// A batch of which nothing is done, as the table says.
    pub const LEFT: Self = Self::refused(Reply::Left);

    /// A batch of reads that leaves its last key unread, as a table does that has no capacity for it.
    pub const UNREAD: Self = Self::refused(Reply::Unread);

    /// It takes no effect and is never answered.
    pub const STALLED: Self = Self::refused(Reply::Silence);

    /// It takes no effect, and the connection breaks.
    pub const BROKEN: Self = Self::refused(Reply::Broken);

    /// It takes no effect, and the sender hears this.
    pub const fn refused(reply: Reply) -> Self {
        Self {
            delay: Duration::ZERO,
            takes_effect: false,
            reply,
        }
    }

    /// It takes effect, and the sender hears this instead of the answer.
    pub const fn lost(reply: Reply) -> Self {
        Self {
            delay: Duration::ZERO,
            takes_effect: true,
            reply,
        }
    }

    /// It takes effect, and the answer never comes.
    #[must_use]
    pub const fn unanswered(self) -> Self {
        Self {
            takes_effect: true,
            reply: Reply::Silence,
            ..self
        }
    }

    /// The same fate, so much later.
    #[must_use]
    pub const fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}
