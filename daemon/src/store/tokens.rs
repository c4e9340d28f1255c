//! The privacy tokens of the people to whom an instance writes.
//!
//! The library asks for one before each message. Nobody else writes them, so what was read or written once is known.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use wacore::store::traits::TcTokenEntry;

/// How many people are remembered. When one more comes, all are forgotten.
const PEOPLE: usize = 128;

/// What is stored for some people, by JID.
#[derive(Debug, Default)]
pub struct Tokens(Mutex<Known>);

/// What is known to be stored for a person; `None` where nothing is.
pub struct Stored(pub Option<TcTokenEntry>);

#[derive(Default)]
struct Known {
    entries: HashMap<String, Option<TcTokenEntry>>,
    /// Whether a write has failed. It may take effect at any time.
    is_unsure: bool,
}

/// Tokens stay out of logs, and so do numbers.
impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known")
            .field("is_unsure", &self.is_unsure)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// What is stored for a person, where that is known.
    pub fn of(&self, jid: &str) -> Option<Stored> {
        self.known().entries.get(jid).cloned().map(Stored)
    }

    /// This is stored for a person.
    pub fn learn(&self, jid: &str, entry: Option<TcTokenEntry>) {
        let mut known = self.known();
        if known.is_unsure {
            return;
        }
        if known.entries.len() >= PEOPLE && !known.entries.contains_key(jid) {
            known.entries.clear();
        }
        known.entries.insert(jid.to_owned(), entry);
    }

    /// What is stored for a person, or for anybody, is about to change.
    pub fn change(&self, jid: Option<&str>) -> Change<'_> {
        let mut known = self.known();
        match jid {
            Some(jid) => drop(known.entries.remove(jid)),
            None => known.entries.clear(),
        }
        Change {
            tokens: self,
            is_done: false,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().expect("no holder panics")
    }
}

/// A change that is under way. One that fails, or is given up, may take effect later: then nothing is known any more.
pub struct Change<'a> {
    tokens: &'a Tokens,
    is_done: bool,
}

impl Change<'_> {
    /// It has taken effect.
    pub fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            let mut known = self.tokens.known();
            known.is_unsure = true;
            known.entries.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_people_are_remembered_and_nobody_after_a_failure() {
        let tokens = Tokens::default();
        for person in 0..=PEOPLE {
            tokens.learn(&person.to_string(), None);
        }
        assert!(tokens.of(&PEOPLE.to_string()).is_some());
        assert!(tokens.known().entries.len() <= PEOPLE);
        tokens.change(Some(&PEOPLE.to_string())).done();
        assert!(tokens.of(&PEOPLE.to_string()).is_none());
        tokens.learn("1", None);
        assert!(tokens.of("1").is_some());
        drop(tokens.change(Some("2")));
        tokens.learn("1", None);
        assert!(tokens.of("1").is_none());
    }
}
