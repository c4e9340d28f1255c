//! How far the index of what is due is read ahead, while the shard's queue is full.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::storage::keys::Key;
use tokio::time::Instant;

/// How often the index is read ahead anew at most, while the queue is full: for those whose time has run out meanwhile, and
/// those that somebody has put before what was read.
const AHEAD_ANEW: Duration = Duration::from_mins(1);

/// The same where nobody knows of any.
const AHEAD_ANEW_AT_LAST: Duration = Duration::from_mins(15);

/// How far the index was read for what needs no place in the shard's queue.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// What was read last.
    pub(super) behind: Option<Key>,
    /// When something before that needs no place, as far as known.
    next: Option<DateTime<Utc>>,
    /// When the reading was begun anew.
    begun: Option<Instant>,
}

impl Ahead {
    /// Something that was read, or is put before what was, needs no place from then on.
    pub(super) fn note(&mut self, at: DateTime<Utc>) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// Begins anew behind `behind`, where that is further, or where it is time to. Answers whether it did.
    pub(super) fn begin(&mut self, behind: Option<&Key>, time: DateTime<Utc>, now: Instant) -> bool {
        let is_passed = self.behind.as_ref().map(|key| &key.sk) < behind.map(|key| &key.sk);
        let has_next = self.next.is_some_and(|next| next <= time);
        let term = if has_next { AHEAD_ANEW } else { AHEAD_ANEW_AT_LAST };
        let is_time = |begun| now.saturating_duration_since(begun) >= term;
        let is_anew = is_passed || self.begun.is_none_or(is_time);
        if is_anew {
            *self = Self {
                behind: behind.cloned(),
                next: None,
                begun: Some(now),
            };
        }
        is_anew
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn key(sk: &str) -> Key {
        Key {
            pk: "due".to_owned(),
            sk: sk.to_owned(),
        }
    }

    #[test]
    fn the_index_is_read_ahead_anew_where_something_is_due_and_not_each_time() {
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        let mut ahead = Ahead::default();
        let start = Instant::now();
        assert!(ahead.begin(None, at(0), start));
        ahead.behind = Some(key("3"));
        ahead.note(at(9));
        ahead.note(at(5));
        assert!(!ahead.begin(Some(&key("2")), at(5), start), "it was just read");
        let then = start + AHEAD_ANEW;
        assert!(!ahead.begin(Some(&key("2")), at(4), then), "nothing is due");
        assert!(ahead.begin(Some(&key("2")), at(5), then));
        assert_eq!((&ahead.behind, ahead.next), (&Some(key("2")), None));
        assert!(ahead.begin(Some(&key("4")), at(5), then), "that was not read");
        assert_eq!(ahead.behind, Some(key("4")));
    }
}
