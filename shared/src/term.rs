//! A time that runs out unless it is extended.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use tokio::time::Instant;

/// What terms count from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A term by the monotonic clock. It is over until it is extended. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Term(Arc<AtomicU64>);

impl Term {
    /// Moves its end to `until`, and never back.
    pub fn extend(&self, until: Instant) {
        self.0.fetch_max(micros(until), Ordering::SeqCst);
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        // The clock is read first: a term that is extended meanwhile is over for nobody.
        let now = micros(Instant::now());
        now >= self.0.load(Ordering::SeqCst)
    }
}

/// Microseconds from the start, of which a `u64` has enough.
fn micros(at: Instant) -> u64 {
    let passed = at.saturating_duration_since(*START);
    u64::try_from(passed.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_term_ends_by_itself_and_never_goes_back() {
        let term = Term::default();
        assert!(term.is_over());
        term.extend(Instant::now());
        assert!(term.is_over());
        let shared = term.clone();
        shared.extend(Instant::now() + Duration::from_hours(1));
        assert!(!term.is_over());
        term.extend(Instant::now());
        assert!(!term.is_over());
    }
}
