//! How long to wait before connecting again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::domain::instance::{Pause, Status};
use shared::domain::reason::Reason;

use crate::stop::{Course, Pauses};

/// The pauses after lost connections: 1, 2, 4, 8, 16, 32, then 60 s each. Each lasts between half and the whole of
/// that, at random, so that a fleet does not come back at once.
const LOST: [u64; 7] = [1, 2, 4, 8, 16, 32, 60];

/// A connection that lasted this long was a good one: after it the pauses begin anew.
const GOOD: Duration = Duration::from_mins(1);

/// Counts attempts that failed.
#[derive(Debug, Default)]
pub struct Backoff {
    failures: usize,
}

impl Backoff {
    /// The pause after a lost connection. `lasted` says how long it was connected, if it was; `random` is from 0 to
    /// 1.
    pub fn after_loss(&mut self, lasted: Option<Duration>, random: f64) -> Duration {
        if lasted.is_some_and(|lasted| lasted >= GOOD) {
            self.failures = 0;
        }
        let whole = Duration::from_secs(LOST[self.failures.min(LOST.len() - 1)]);
        self.failures += 1;
        whole.mul_f64(0.5 + random / 2.0)
    }

    /// Someone asked for it: the next pause is the first again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// What follows a stop whose pauses are kept with the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A pause.
    Pause(Pause),
    /// No pauses are left: nothing happens until someone asks again.
    End(Status, Reason),
}

/// What follows a stop of this `course` at `now`. `last` is the instance's last pause; `random` is from 0 to 1.
/// `None` where pauses of this course are not kept.
pub fn after_stop(course: Course, last: Option<&Pause>, now: DateTime<Utc>, random: f64) -> Option<Next> {
    let pauses = course.pauses()?;
    let in_a_row = last.filter(|last| {
        let over_for = now - last.not_before;
        last.reason == pauses.reason.as_str() && over_for < TimeDelta::seconds(pauses.remembered)
    });
    let before = in_a_row.map_or(0, |last| last.strikes);
    if pauses.most.is_some_and(|most| before >= most) {
        return Some(Next::End(Status::ForceDisconnected, pauses.reason));
    }
    let whole = Duration::from_secs(whole_of(pauses, before.saturating_add(1)));
    Some(Next::Pause(Pause {
        reason: pauses.reason.to_string(),
        since: now,
        not_before: now + delta(whole.mul_f64(1.0 + random / 4.0)),
        strikes: before.saturating_add(1),
    }))
}

/// How long is left of a pause. Never longer than it is as a whole, nor than the longest of its kind, whatever the writer's clock said:
/// one that was ahead does not keep an instance from its messages for as much longer.
pub fn left(pause: &Pause, now: DateTime<Utc>) -> Duration {
    let longest = Course::pauses_of(&pause.reason).map_or(LONGEST, longest);
    let whole = (pause.not_before - pause.since).to_std().unwrap_or_default();
    let left = (pause.not_before - now).to_std().unwrap_or_default();
    left.min(whole).min(longest)
}

/// The pause after a person asks for a connection at `now`. It ends now, or when its floor is over.
#[must_use]
pub fn cut(pause: &Pause, now: DateTime<Utc>) -> Pause {
    let Some(pauses) = Course::pauses_of(&pause.reason) else {
        return pause.clone();
    };
    // The floor is a part of the whole pause, so it stays however often one asks.
    let least = whole_of(pauses, pause.strikes) * u64::from(pauses.floor) / 100;
    let least = pause.since + delta(Duration::from_secs(least));
    Pause {
        not_before: least.max(now).min(pause.not_before),
        ..pause.clone()
    }
}

/// The seconds of the pause of this number, from 1.
fn whole_of(pauses: &Pauses, strike: u32) -> u64 {
    let last = pauses.seconds.len() - 1;
    let index = usize::try_from(strike.saturating_sub(1)).map_or(last, |index| index.min(last));
    u64::from(pauses.seconds[index])
}

/// The longest pause of a kind that only another build knows.
const LONGEST: Duration = Duration::from_hours(3);

fn longest(pauses: &Pauses) -> Duration {
    let whole = pauses.seconds.iter().max().copied().unwrap_or_default();
    Duration::from_secs(u64::from(whole)).mul_f64(1.25)
}

fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
    }

    fn minutes(pause: &Pause) -> i64 {
        (pause.not_before - pause.since).num_minutes()
    }

    #[test]
    fn pauses_after_losses_grow_to_a_minute_and_begin_anew_after_a_good_connection() {
        let mut backoff = Backoff::default();
        for (whole, random) in [
            (1, 0.0),
            (2, 1.0),
            (4, 0.5),
            (8, 0.0),
            (16, 1.0),
            (32, 0.1),
            (60, 1.0),
            (60, 0.0),
        ] {
            let pause = backoff.after_loss(None, random);
            let range = Duration::from_millis(whole * 500)..=Duration::from_secs(whole);
            assert!(range.contains(&pause), "{pause:?} of {whole}");
        }
        assert!(
            backoff.after_loss(Some(Duration::from_secs(5)), 0.0) > Duration::from_secs(20),
            "5 s is no good connection"
        );
        assert!(backoff.after_loss(Some(GOOD), 1.0) <= Duration::from_secs(1));
    }

    #[test]
    fn a_rate_limit_pauses_for_minutes_and_longer_each_time() {
        let (mut last, mut at) = (None, now());
        for (whole, random) in [
            (5, 0.0),
            (10, 1.0),
            (20, 0.0),
            (40, 0.0),
            (80, 1.0),
            (120, 0.0),
            (120, 1.0),
        ] {
            let next = after_stop(Course::RateLimited, last.as_ref(), at, random);
            let Some(Next::Pause(pause)) = next else {
                panic!("{next:?}")
            };
            assert!(
                minutes(&pause) >= whole && minutes(&pause) <= whole * 5 / 4,
                "{pause:?}"
            );
            assert_eq!(
                left(&pause, at).as_secs(),
                (pause.not_before - at).num_seconds().unsigned_abs()
            );
            at = pause.not_before + TimeDelta::hours(5);
            last = Some(pause);
        }
        let strikes = last.as_ref().map(|last| last.strikes);
        assert_eq!(strikes, Some(7));
        let later = last.as_ref().expect("a pause").not_before + TimeDelta::hours(6);
        let next = after_stop(Course::RateLimited, last.as_ref(), later, 0.0);
        let Some(Next::Pause(pause)) = next else {
            panic!("{next:?}")
        };
        assert_eq!(
            (minutes(&pause), pause.strikes),
            (5, 1),
            "what was long ago is forgotten"
        );
        let next = after_stop(Course::Replaced, last.as_ref(), at, 0.0);
        let Some(Next::Pause(pause)) = next else {
            panic!("{next:?}")
        };
        assert_eq!(pause.strikes, 1, "one kind does not count for another");
    }

    #[test]
    fn what_does_not_pass_ends() {
        for (course, reason) in [
            (Course::Replaced, Reason::Replaced),
            (Course::Refused, Reason::ConnectionRefused),
        ] {
            let (mut last, mut at, mut pauses) = (None, now(), 0);
            let end = loop {
                match after_stop(course, last.as_ref(), at, 0.5).expect("it is kept") {
                    Next::Pause(pause) => {
                        pauses += 1;
                        assert!(pauses < 10, "it ends");
                        at = pause.not_before + TimeDelta::minutes(30);
                        last = Some(pause);
                    }
                    Next::End(status, reason) => break (status, reason),
                }
            };
            assert_eq!(Some(pauses), course.pauses().expect("kept").most);
            assert_eq!(end, (Status::ForceDisconnected, reason));
        }
        assert_eq!(after_stop(Course::Lost, None, now(), 0.0), None);
    }

    #[test]
    fn an_entry_that_stays_unreadable_pauses_for_longer_however_long_sessions_stand() {
        let (mut last, mut at) = (None, now());
        for whole in [10, 30, 60, 120, 120] {
            let next = after_stop(Course::Unreadable, last.as_ref(), at, 0.0);
            let Some(Next::Pause(pause)) = next else {
                panic!("{next:?}")
            };
            assert_eq!((pause.not_before - pause.since).num_seconds(), whole);
            let asked = cut(&pause, at);
            assert_eq!(left(&asked, at), Duration::ZERO, "a person ends it");
            at = pause.not_before + TimeDelta::hours(2);
            last = Some(pause);
        }
        let later = at + TimeDelta::hours(6);
        let next = after_stop(Course::Unreadable, last.as_ref(), later, 0.0);
        assert!(
            matches!(&next, Some(Next::Pause(pause)) if pause.strikes == 1),
            "{next:?}"
        );
    }

    #[test]
    fn a_person_shortens_a_pause_to_its_floor() {
        let next = after_stop(Course::RateLimited, None, now(), 0.0);
        let Some(Next::Pause(pause)) = next else {
            panic!("{next:?}")
        };
        let floor = now() + TimeDelta::minutes(2);
        assert_eq!(cut(&pause, now()).not_before, floor);
        assert_eq!(cut(&cut(&pause, now()), now()).not_before, floor, "however often");
        let later = now() + TimeDelta::minutes(3);
        assert_eq!(cut(&pause, later).not_before, later, "the least is over");
        let over = pause.not_before + TimeDelta::minutes(1);
        assert_eq!(cut(&pause, over), pause, "it is over");
        let next = after_stop(Course::Replaced, None, now(), 0.0);
        let Some(Next::Pause(pause)) = next else {
            panic!("{next:?}")
        };
        assert_eq!(left(&cut(&pause, now()), now()), Duration::ZERO);
    }

    #[test]
    fn a_pause_by_a_clock_that_is_ahead_is_no_longer_than_it_was_to_be() {
        let ahead = now() + TimeDelta::hours(1);
        let Some(Next::Pause(pause)) = after_stop(Course::RateLimited, None, ahead, 0.0) else {
            panic!("a pause");
        };
        assert_eq!(left(&pause, now()), Duration::from_mins(5));
        assert_eq!(
            left(&pause, ahead + TimeDelta::minutes(4)),
            Duration::from_mins(1)
        );
        let cut = cut(&pause, now());
        assert_eq!(left(&cut, now()), Duration::from_mins(2), "its floor");
    }

    #[test]
    fn a_pause_by_a_clock_that_is_wrong_is_no_longer_than_any() {
        let pause = Pause {
            reason: Reason::RateLimited.to_string(),
            since: now(),
            not_before: now() + TimeDelta::days(4_000),
            strikes: 1,
        };
        assert_eq!(left(&pause, now()), Duration::from_mins(150));
        assert_eq!(left(&pause, now() + TimeDelta::days(5_000)), Duration::ZERO);
        let unknown = Pause {
            reason: "SOMETHING_NEW".to_owned(),
            ..pause
        };
        assert_eq!(left(&unknown, now()), LONGEST);
        assert_eq!(cut(&unknown, now()), unknown);
    }
}
