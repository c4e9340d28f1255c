//! How fast a client may send.

use std::time::Duration;

use tokio::time::Instant;

/// How long a client may send at twice the rate, or in one burst what this time allows.
const BURST: Duration = Duration::from_secs(2);

/// A bucket that fills steadily and that each frame takes from.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: f64,
    left: f64,
    filled: Instant,
}

impl Pace {
    /// A full bucket.
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            left: per_second * BURST.as_secs_f64(),
            filled: Instant::now(),
        }
    }

    /// Takes one; `false` when the client is too fast.
    pub(super) fn step(&mut self) -> bool {
        let now = Instant::now();
        let gained = now.duration_since(self.filled).as_secs_f64() * self.per_second;
        self.filled = now;
        self.left = (self.left + gained).min(self.per_second * BURST.as_secs_f64()) - 1.0;
        self.left >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_a_flood_does_not() {
        let mut pace = Pace::new(10);
        assert!((0..20).all(|_| pace.step()));
        assert!(!pace.step());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!((0..9).all(|_| pace.step()));
        assert!(!pace.step());
    }
}
