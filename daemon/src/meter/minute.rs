//! What has happened within the last minute.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// How far back [`LastMinute`] counts.
const MINUTE: Duration = Duration::from_mins(1);

/// How often something has happened within the last minute, to the second.
#[derive(Debug, Default)]
pub struct LastMinute(Mutex<VecDeque<(Instant, u64)>>);

impl LastMinute {
    /// It has happened once more.
    pub fn note(&self, now: Instant) {
        let mut seconds = self.0.lock().expect("no holder panics");
        forget(&mut seconds, now);
        match seconds.back_mut() {
            Some((begun, count)) if now.duration_since(*begun) < Duration::from_secs(1) => *count += 1,
            _ => seconds.push_back((now, 1)),
        }
    }

    /// How often it has happened.
    pub fn count(&self, now: Instant) -> u64 {
        let mut seconds = self.0.lock().expect("no holder panics");
        forget(&mut seconds, now);
        seconds.iter().map(|(_, count)| count).sum()
    }
}

fn forget(seconds: &mut VecDeque<(Instant, u64)>, now: Instant) {
    while seconds
        .front()
        .is_some_and(|(begun, _)| now.duration_since(*begun) >= MINUTE)
    {
        seconds.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_forgets_what_lies_before_it() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let sent = LastMinute::default();
        for millis in [0, 400, 999, 1_000, 30_000] {
            sent.note(at(millis));
        }
        assert_eq!(sent.count(at(59_999)), 5);
        assert_eq!(sent.count(at(60_000)), 2, "the first second is over");
        assert_eq!(sent.count(at(61_000)), 1);
        assert_eq!(sent.count(at(90_000)), 0);
    }
}
