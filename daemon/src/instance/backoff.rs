//! How long to wait before connecting again.

use std::time::Duration;

/// The pauses between attempts: 1, 2, 4, 8, 16, 32, then 60 s each, every one of them
/// between half and the whole of that at random, so that a fleet does not come back at
/// once.
const PAUSES: [u64; 7] = [1, 2, 4, 8, 16, 32, 60];

/// A connection that lasted this long was a good one: the pauses begin anew.
const GOOD: Duration = Duration::from_mins(1);

/// Counts attempts that failed.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: usize,
}

impl Backoff {
    /// The pause after an attempt; `lasted` is for how long it was connected, if it was.
    pub fn pause(&mut self, lasted: Option<Duration>) -> Duration {
        if lasted.is_some_and(|lasted| lasted >= GOOD) {
            self.failures = 0;
        }
        let whole = PAUSES[self.failures.min(PAUSES.len() - 1)] * 1_000;
        self.failures += 1;
        Duration::from_millis(rand::random_range(whole / 2..=whole))
    }

    /// Someone asked for it: the next pause is the first again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_begin_anew_after_a_good_connection() {
        let mut backoff = Backoff::default();
        for whole in [1, 2, 4, 8, 16, 32, 60, 60] {
            let pause = backoff.pause(None);
            assert!(pause <= Duration::from_secs(whole) && pause >= Duration::from_millis(whole * 500));
        }
        assert!(
            backoff.pause(Some(Duration::from_secs(5))) > Duration::from_secs(20),
            "5 s is no good connection"
        );
        assert!(backoff.pause(Some(GOOD)) <= Duration::from_secs(1));
    }
}
