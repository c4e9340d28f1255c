//! A recipient who is found without a device that can receive a message: believed once several looks, over minutes, have found
//! none.

use std::time::Duration;

use tokio::time::Instant;

/// How many looks in a row have to find none: the server's lists are empty at times, and keys away.
const LOOKS: u32 = 4;

/// How long the first of them has to lie back.
const SPREAD: Duration = Duration::from_mins(10);

/// Looks that found a recipient without a device, in a row. One that could not be answered is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deviceless {
    since: Option<Instant>,
    looks: u32,
}

impl Deviceless {
    /// Whether the last look found none.
    pub fn is_suspected(&self) -> bool {
        self.since.is_some()
    }

    /// A look at `now` found none. Whether that is believed.
    pub fn found_again(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        self.looks = self.looks.saturating_add(1);
        self.looks >= LOOKS && now.duration_since(since) >= SPREAD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_looks_over_minutes_are_believed_and_neither_alone() {
        let began = Instant::now();
        let after = |seconds| began + Duration::from_secs(seconds);
        let mut quick = Deviceless::default();
        for second in 0..500 {
            assert!(!quick.found_again(after(second)), "{second}");
        }
        assert!(quick.found_again(after(600)));
        let mut seldom = Deviceless::default();
        for look in 0..3 {
            assert!(!seldom.found_again(after(look * 3_600)), "{look}");
        }
        assert!(seldom.found_again(after(3 * 3_600)));
    }
}
