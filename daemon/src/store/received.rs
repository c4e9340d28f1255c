//! When incoming messages came.
//!
//! Lists show messages in the order in which they came, and a message that comes again keeps its place and its ids.
//! So the time of a message is stored beside its buffered copy, and kept in memory for the commit that follows. No two
//! messages have the same microsecond.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use chrono::{DateTime, TimeDelta, Utc};

/// The times of the messages that are buffered and not yet committed: as many as the library
/// has in hand.
#[derive(Debug, Default)]
pub struct Received(Mutex<Times>);

#[derive(Debug, Default)]
struct Times {
    by_name: HashMap<String, DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
}

impl Received {
    /// When the message of this entry came: the time that is known, or now.
    pub fn note(&self, name: &str, now: DateTime<Utc>) -> DateTime<Utc> {
        let mut times = self.times();
        if let Some(at) = times.by_name.get(name) {
            return *at;
        }
        let now = DateTime::from_timestamp_micros(now.timestamp_micros()).unwrap_or(now);
        let next = times.last.map(|last| last + TimeDelta::microseconds(1));
        let at = next.map_or(now, |next| now.max(next));
        times.last = Some(at);
        times.by_name.insert(name.to_owned(), at);
        at
    }

    /// The message of this entry came at `at`, as its stored copy says.
    pub fn learn(&self, name: &str, at: DateTime<Utc>) {
        self.times().by_name.insert(name.to_owned(), at);
    }

    /// The same, from a time in microseconds since the epoch; answers whether there was a valid one.
    pub fn relearn(&self, name: &str, micros: Option<i64>) -> bool {
        let at = micros.and_then(DateTime::from_timestamp_micros);
        at.inspect(|at| self.learn(name, *at)).is_some()
    }

    /// When the message of this entry came, where that is known.
    pub fn of(&self, name: &str) -> Option<DateTime<Utc>> {
        self.times().by_name.get(name).copied()
    }

    /// The message of this entry is committed.
    pub fn forget(&self, name: &str) {
        self.times().by_name.remove(name);
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.0.lock().expect("no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_keeps_its_time_and_shares_it_with_none() {
        let now = DateTime::from_timestamp_micros(1_767_225_600_000_007).expect("in range");
        let received = Received::default();
        let first = received.note("a", now);
        let second = received.note("b", now);
        assert_eq!(first, now);
        assert!(first < second);
        assert_eq!(received.note("a", now + TimeDelta::hours(1)), first);
        assert_eq!(received.of("b"), Some(second));
        received.forget("b");
        assert_eq!(received.of("b"), None);
        // A clock that is set back does not change the order.
        assert!(received.note("c", now - TimeDelta::hours(1)) > second);
        received.learn("d", now);
        assert_eq!(received.note("d", now + TimeDelta::hours(1)), now);
    }
}
