//! How fast a client may send.

use std::time::Duration;

use tokio::time::Instant;

/// A client may send at twice the rate for this long, or as much in one burst as this time allows.
const BURST: Duration = Duration::from_secs(2);

/// A bucket that fills steadily and that each frame takes from.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    left: f64,
    filled: Instant,
}

impl Pace {
    /// A bucket that is full at `now`.
    pub(super) fn new(per_second: u32, now: Instant) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            left: per_second * BURST.as_secs_f64(),
            filled: now,
        }
    }

    /// Takes one at `now`; `false` when the client is too fast.
    pub(super) fn step(&mut self, now: Instant) -> bool {
        let gained = now.duration_since(self.filled).as_secs_f64() * self.per_second;
        self.filled = now;
        self.left = (self.left + gained).min(self.per_second * BURST.as_secs_f64()) - 1.0;
        self.left >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_does_not() {
        let now = Instant::now();
        let mut pace = Pace::new(10, now);
        assert!((0..20).all(|_| pace.step(now)));
        assert!(!pace.step(now));
        let later = now + Duration::from_secs(1);
        assert!((0..9).all(|_| pace.step(later)));
        assert!(!pace.step(later));
    }
}
