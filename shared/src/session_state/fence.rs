//! The right to write session state, as one lease's token.

use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

use crate::term::Term;

/// The last sequence number that this process has given out.
static SEQUENCE: AtomicU64 = AtomicU64::new(0);

/// The token of a lease, and whether that lease is known to be lost. Clones are revoked together.
#[derive(Debug, Clone)]
pub struct Fence {
    token: u64,
    lost: CancellationToken,
    /// How long the lease lasts, where that is known.
    term: Option<Term>,
}

impl Fence {
    /// The fence of a lease with this token, which rises each time the lease changes hands.
    pub fn new(token: u64) -> Self {
        Self {
            token,
            lost: CancellationToken::new(),
            term: None,
        }
    }

    /// The same of a lease that lasts for a term. The fence is revoked when that is over, also where nobody came to
    /// revoke it: a process that stood still may do anything first.
    pub fn within(token: u64, term: Term) -> Self {
        Self {
            term: Some(term),
            ..Self::new(token)
        }
    }

    /// The lease's token.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Ends every later write under this fence, at once and without a request. Answers whether nobody has revoked it before,
    /// whether its term is over or not.
    pub fn revoke(&self) -> bool {
        let is_first = !self.lost.is_cancelled();
        self.lost.cancel();
        is_first
    }

    /// Whether it was revoked, or its term is over.
    pub fn is_revoked(&self) -> bool {
        self.lost.is_cancelled() || self.term.as_ref().is_some_and(Term::is_over)
    }

    /// Waits until somebody revokes it, by [`Fence::revoke`] or by a write that found a newer owner's item. The end of its
    /// term alone wakes nobody: ask [`Fence::is_revoked`] for that.
    pub async fn revoked(&self) {
        self.lost.cancelled().await;
    }
}

/// The number of a write that begins now. It is higher than any that this process gave out. Since it begins with the
/// clock, in microseconds, it is higher than those of an earlier process too.
pub(super) fn next_sequence(now: DateTime<Utc>) -> u64 {
    let floor = u64::try_from(now.timestamp_micros()).unwrap_or(0);
    let update = |last: u64| Some(last.saturating_add(1).max(floor));
    let (Ok(last) | Err(last)) = SEQUENCE.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
    last.saturating_add(1).max(floor)
}

/// Whether this process gave out `sequence`, or a later one.
pub(super) fn is_ours(sequence: u64) -> bool {
    sequence <= SEQUENCE.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    #[test]
    fn a_fence_falls_with_its_term() {
        let term = Term::default();
        let fence = Fence::within(1, term.clone());
        assert!(fence.is_revoked());
        term.extend(Instant::now() + Duration::from_hours(1));
        assert!(!fence.is_revoked());
        assert!(fence.revoke() && !fence.revoke());
        assert!(fence.is_revoked());
    }

    #[test]
    fn sequence_numbers_rise_even_when_the_clock_stands_or_goes_back() {
        let now = DateTime::from_timestamp(1_767_225_600, 0).expect("in range");
        let first = next_sequence(now);
        let second = next_sequence(now);
        let third = next_sequence(DateTime::UNIX_EPOCH);
        assert!(first < second && second < third);
        assert!(is_ours(third));
        assert!(!is_ours(u64::MAX));
    }
}
