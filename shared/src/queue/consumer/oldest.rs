//! How old held messages are.

use chrono::{DateTime, Utc};

/// When the queue got the oldest of the messages that are held, as far as it says when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Oldest {
    /// The oldest of those that are worked on.
    pub working: Option<DateTime<Utc>>,
    /// The oldest of those that wait for something.
    pub waiting: Option<DateTime<Utc>>,
}

impl Oldest {
    /// The older ones of both.
    #[must_use]
    pub fn or_older(self, other: Self) -> Self {
        Self {
            working: first(self.working, other.working),
            waiting: first(self.waiting, other.waiting),
        }
    }
}

fn first(one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    one.into_iter().chain(other).min()
}
