//! How slow a host may be: it has a while to begin with, and more with all that it sends.
//!
//! A large file takes long, and comes through as long as it keeps coming. A host that drips bytes would else be waited for as
//! long as one that sends a large file.

use std::time::Duration;

/// How long a host may be waited for before its rate counts, its redirects and its first answer included.
const GRACE: Duration = Duration::from_secs(30);

/// The rate that counts from then on, in bytes a second, on the average of all that has come.
const RATE: u32 = 32 * 1_024;

/// How slow a host may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slowest {
    /// How long it may be waited for before its rate counts.
    pub grace: Duration,
    /// Its bytes a second, on the average, that are enough.
    pub rate: u32,
}

impl Default for Slowest {
    fn default() -> Self {
        Self {
            grace: GRACE,
            rate: RATE,
        }
    }
}

impl Slowest {
    /// How long a host that has sent so many bytes may have been waited for.
    pub fn patience(self, bytes: u64) -> Duration {
        let millis = bytes.saturating_mul(1_000) / u64::from(self.rate.max(1));
        self.grace.saturating_add(Duration::from_millis(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_has_more_time_and_who_drips_has_not() {
        let slowest = Slowest::default();
        assert_eq!(slowest.patience(0), GRACE);
        assert_eq!(slowest.patience(60), GRACE + Duration::from_millis(1));
        let large = u64::from(RATE) * 60;
        assert_eq!(slowest.patience(large), GRACE + Duration::from_mins(1));
        assert!(
            slowest.patience(u64::MAX) > Duration::from_hours(1),
            "no overflow"
        );
    }
}
