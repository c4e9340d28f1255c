//! The other daemons, as far as this one hears them.
//!
//! Each says a word every few seconds, and one that stops in order says so when it has told all. One that falls silent without
//! that may have had events that it told nobody: its way was broken before it died, so the word that something is missing died
//! with it.

use std::collections::HashMap;

use tokio::time::Instant;

use super::SILENCE;

/// The other daemons, and when each was heard last.
#[derive(Debug, Default)]
pub struct Peers(HashMap<String, Instant>);

impl Peers {
    /// A daemon is heard. Whether it was not before.
    pub fn heard(&mut self, daemon: &str, now: Instant) -> bool {
        if let Some(at) = self.0.get_mut(daemon) {
            *at = now;
            return false;
        }
        self.0.insert(daemon.to_owned(), now);
        true
    }

    /// A daemon has told all, and goes.
    pub fn goes(&mut self, daemon: &str) {
        self.0.remove(daemon);
    }

    /// Forgets those that have fallen silent. How many there were.
    pub fn lose_silent(&mut self, now: Instant) -> usize {
        let before = self.0.len();
        self.0.retain(|_, at| now.duration_since(*at) <= SILENCE);
        before - self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_daemon_that_falls_silent_is_missed_once_and_one_that_goes_in_order_never() {
        let (mut peers, now) = (Peers::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        assert!(peers.heard("falls silent", now) && peers.heard("stays", now) && peers.heard("goes", now));
        assert!(!peers.heard("stays", later), "it is known");
        peers.goes("goes");
        assert_eq!(peers.lose_silent(now + SILENCE), 0);
        assert_eq!(peers.lose_silent(later + SILENCE), 1);
        assert_eq!(peers.lose_silent(later + SILENCE), 0, "that is told once");
        assert!(peers.heard("falls silent", later + SILENCE), "it is a new one");
    }
}
