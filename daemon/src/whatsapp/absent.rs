//! The numbers of an address book that are not on WhatsApp, so that they are not asked for with each status.
//!
//! Looking one up costs a question to WhatsApp and a read of the session's store, and a book may have thousands of them. They
//! are asked for again a day later: people come to WhatsApp.

use std::collections::HashMap;
use std::time::Duration;

use shared::domain::person::Person;
use tokio::time::Instant;

/// How long a number is taken for one that is not there.
const TERM: Duration = Duration::from_hours(24);

/// How many are remembered: as many as a whole address book has.
const MOST: usize = 64_000;

/// Numbers that are not on WhatsApp.
#[derive(Default)]
pub struct Absent(HashMap<String, Instant>);

impl Absent {
    /// Forgets those that were asked for long ago.
    pub fn forget(&mut self, now: Instant) {
        self.0.retain(|_, since| now.duration_since(*since) < TERM);
    }

    /// Whether this person is known by a number alone, and that is not there.
    pub fn has(&self, person: &Person) -> bool {
        let number = person.phone.as_ref().filter(|_| person.lid.is_none());
        number.is_some_and(|number| self.0.contains_key(number))
    }

    /// Notes those of whom no LID is known, now that they were asked for.
    pub fn note(&mut self, asked: &[Person], now: Instant) {
        let nameless = asked.iter().filter(|person| person.lid.is_none());
        let numbers = nameless.filter_map(|person| person.phone.clone());
        let room = MOST.saturating_sub(self.0.len());
        self.0.extend(numbers.take(room).map(|number| (number, now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(phone: &str, lid: Option<&str>) -> Person {
        Person {
            phone: Some(phone.to_owned()),
            lid: lid.map(str::to_owned),
        }
    }

    #[test]
    fn who_is_not_there_is_asked_for_once_a_day() {
        let (mut absent, now) = (Absent::default(), Instant::now());
        let (gone, there) = (person("15550100001", None), person("15550100002", Some("7")));
        absent.note(&[gone.clone(), there.clone()], now);
        assert!(absent.has(&gone) && !absent.has(&there));
        assert!(!absent.has(&person("15550100002", None)), "nobody knows");
        assert!(!absent.has(&person("15550100001", Some("8"))), "found since");
        absent.forget(now + TERM / 2);
        assert!(absent.has(&gone));
        absent.forget(now + TERM);
        assert!(!absent.has(&gone));
    }

    #[test]
    fn no_more_are_remembered_than_a_book_has() {
        let mut absent = Absent::default();
        let many: Vec<_> = (0..=MOST).map(|n| person(&n.to_string(), None)).collect();
        absent.note(&many, Instant::now());
        assert_eq!(absent.0.len(), MOST);
    }
}
