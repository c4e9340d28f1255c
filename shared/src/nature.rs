//! What a failure means for the work that met it: the one rule by which errors are sorted.
//!
//! Work that may succeed later waits. Only an error that is proven never to pass may fail a user's message or set its
//! job aside. An unknown error waits as if it were transient.

/// Whether the same call may succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// It passes by itself: a time-out, a throttled call, a service that is away.
    Transient,
    /// It never passes: stored data that is corrupt, a call that breaks a rule.
    Permanent,
    /// Nobody can tell: a code that this build does not know, a permission that is missing, a key
    /// that is disabled. Somebody may mend it, so it waits; it is worth an operator's look.
    Unknown,
}

impl Nature {
    /// Whether no later attempt can succeed.
    pub const fn is_permanent(self) -> bool {
        matches!(self, Self::Permanent)
    }
}
