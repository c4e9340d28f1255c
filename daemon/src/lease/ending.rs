//! How long a shard whose lease is lost may take to end.

use std::time::Duration;

use tokio::time::Instant;

/// After so long without an end, that is logged. An orderly end is faster: sockets are dropped at once, and every call has
/// a deadline.
const LOGGED_AFTER: Duration = Duration::from_secs(30);

/// After so long the process must end: twice what an orderly end takes at most. The lease names this daemon, which
/// beats, so nobody else may take the shard.
pub(super) const LONGEST_END: Duration = Duration::from_mins(2);

/// The most that counts between two looks. A process that stood still has not had the time.
const LONGEST_STEP: Duration = Duration::from_secs(10);

/// What is to be done about a lost shard that is served still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Wait,
    /// Log it. This comes once.
    Log,
    /// It will not end: end the process.
    GiveUp,
}

/// The end of a lost shard's serving, while it is waited for.
#[derive(Debug, Default)]
pub(super) struct Ending {
    waited: Duration,
    last_look: Option<Instant>,
    is_logged: bool,
}

impl Ending {
    /// Finds it served still, `longest` being the time that it may take.
    pub fn look(&mut self, now: Instant, longest: Duration) -> Verdict {
        if let Some(last) = self.last_look.replace(now) {
            self.waited += now.saturating_duration_since(last).min(LONGEST_STEP);
        }
        if self.waited >= longest {
            return Verdict::GiveUp;
        }
        if self.waited < LOGGED_AFTER || self.is_logged {
            return Verdict::Wait;
        }
        self.is_logged = true;
        Verdict::Log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_end_is_logged_once_and_given_up_at_last() {
        let (start, mut ending) = (Instant::now(), Ending::default());
        let mut look = |seconds| ending.look(start + Duration::from_secs(seconds), LONGEST_END);
        for second in 0..30 {
            assert_eq!(look(second), Verdict::Wait);
        }
        assert_eq!(look(30), Verdict::Log);
        for second in 31..120 {
            assert_eq!(look(second), Verdict::Wait);
        }
        assert_eq!(look(120), Verdict::GiveUp);
    }

    #[test]
    fn a_time_in_which_the_process_stood_still_does_not_count() {
        let (start, mut ending) = (Instant::now(), Ending::default());
        let mut look = |seconds| ending.look(start + Duration::from_secs(seconds), LONGEST_END);
        assert_eq!(look(0), Verdict::Wait);
        assert_eq!(look(3_600), Verdict::Wait);
        assert_eq!(look(3_601), Verdict::Wait);
    }
}
