//! When an event is tried again that failed.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// The pauses after each attempt that failed: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h and 10 h. The contract lists them.
pub const PAUSES: [TimeDelta; 7] = [
    TimeDelta::seconds(5),
    TimeDelta::minutes(5),
    TimeDelta::minutes(30),
    TimeDelta::hours(2),
    TimeDelta::hours(5),
    TimeDelta::hours(10),
    TimeDelta::hours(10),
];

/// How many attempts an event has.
pub const ATTEMPTS: usize = PAUSES.len() + 1;

/// How much longer a pause is at most, as a share of it, so that what failed together does not come back together.
const JITTER: f64 = 0.1;

/// The longest time for which an endpoint may put an attempt off: as long as the longest pause. A longer one would let it
/// keep events for as long as it likes.
pub const LONGEST_PUT_OFF: TimeDelta = TimeDelta::hours(10);

/// For how long an endpoint has to fail, with no success in between, before its webhook is switched off.
pub const PATIENCE: TimeDelta = TimeDelta::days(5);

/// When an event is tried again of which `made` attempts have failed, the last one at `now`; `None` where it has no more.
/// `not_before` is what the endpoint or its breaker asks for, and `random` is from 0 to 1.
pub fn next(
    made: usize,
    now: DateTime<Utc>,
    not_before: Option<DateTime<Utc>>,
    random: f64,
) -> Option<DateTime<Utc>> {
    let pause = PAUSES.get(made.checked_sub(1)?)?;
    let by_plan = now + longer(*pause, random);
    let asked = not_before.map(|at| now + longer((at - now).min(LONGEST_PUT_OFF), random));
    Some(asked.map_or(by_plan, |at| at.max(by_plan)))
}

/// When an event whose last attempt is left is tried again, where the endpoint is left alone until then; `None` where its row
/// began five days ago. A pause never takes the last attempt: that would end the event without one. It comes again after an hour,
/// since pauses of an endpoint that stays away follow each other.
pub fn last(
    began: DateTime<Utc>,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
    random: f64,
) -> Option<DateTime<Utc>> {
    let pause = (until - now).clamp(TimeDelta::hours(1), LONGEST_PUT_OFF);
    (now - began < PATIENCE).then(|| now + longer(pause, random))
}

/// When an event is tried for which there was no place: after 1 to 15 minutes, so that those that wait do not come together;
/// `None` where its row began five days ago.
pub fn without_place(began: DateTime<Utc>, now: DateTime<Utc>, random: f64) -> Option<DateTime<Utc>> {
    let pause = TimeDelta::from_std(Duration::from_mins(14).mul_f64(random.clamp(0.0, 1.0)));
    let at = now + TimeDelta::minutes(1) + pause.unwrap_or_default();
    (now - began < PATIENCE).then_some(at)
}

fn longer(pause: TimeDelta, random: f64) -> TimeDelta {
    let pause = pause.to_std().unwrap_or_default();
    let longer = pause + pause.mul_f64(JITTER * random.clamp(0.0, 1.0));
    TimeDelta::from_std(longer).unwrap_or(TimeDelta::MAX)
}

/// For how long a message is left in its queue whose work cannot be done now: 5 s, and 5 s more each time that it was received,
/// 15 min at most. So an outage of a day costs some hundred of the 1,000 receives after which a queue takes a message for
/// poison.
pub fn left_for(received: u32) -> Duration {
    Duration::from_secs(5 * u64::from(received.clamp(1, 180)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::queue::deployment::MAX_RECEIVES;

    const AT: DateTime<Utc> = DateTime::UNIX_EPOCH;

    #[test]
    fn the_pauses_are_the_contracts() {
        for (made, seconds) in [
            (1, 5),
            (2, 5 * 60),
            (3, 30 * 60),
            (4, 2 * 3_600),
            (5, 5 * 3_600),
            (6, 10 * 3_600),
            (7, 10 * 3_600),
        ] {
            let pause = TimeDelta::seconds(seconds);
            assert_eq!(next(made, AT, None, 0.0), Some(AT + pause), "after {made}");
            let latest = next(made, AT, None, 1.0).expect("one more");
            assert_eq!(latest, AT + pause + pause / 10, "after {made}");
        }
        assert_eq!(next(ATTEMPTS, AT, None, 0.0), None);
    }

    #[test]
    fn what_finds_no_place_comes_within_a_quarter_of_an_hour_for_five_days() {
        let comes = |days, random| without_place(AT - TimeDelta::days(days), AT, random);
        assert_eq!(comes(0, 0.0), Some(AT + TimeDelta::minutes(1)));
        assert_eq!(comes(4, 1.0), Some(AT + TimeDelta::minutes(15)));
        assert_eq!(comes(5, 0.0), None);
    }

    #[test]
    fn what_an_endpoint_asks_for_is_obeyed_within_bounds() {
        let asked = |seconds| next(1, AT, Some(AT + TimeDelta::seconds(seconds)), 0.0);
        assert_eq!(asked(120), Some(AT + TimeDelta::seconds(120)));
        assert_eq!(
            asked(1),
            Some(AT + TimeDelta::seconds(5)),
            "the plan's pause is longer"
        );
        assert_eq!(asked(86_400 * 365), Some(AT + LONGEST_PUT_OFF));
        assert_eq!(next(ATTEMPTS, AT, Some(AT + TimeDelta::seconds(120)), 0.0), None);
    }

    #[test]
    fn the_last_attempt_is_put_off_for_five_days_at_most() {
        let last = |days, seconds| {
            let now = AT + TimeDelta::days(days);
            last(AT, now, now + TimeDelta::seconds(seconds), 0.0).map(|at| at - now)
        };
        assert_eq!(last(2, 30), Some(TimeDelta::hours(1)));
        assert_eq!(last(4, 7_200), Some(TimeDelta::hours(2)));
        assert_eq!(last(5, 30), None);
    }

    #[test]
    fn an_outage_of_days_makes_no_message_poison() {
        let waits: Duration = (1..MAX_RECEIVES).map(left_for).sum();
        assert!(waits > Duration::from_hours(7 * 24), "{waits:?}");
        let of_a_day = (1..1_000)
            .scan(Duration::ZERO, |past, received| {
                *past += left_for(received);
                (*past < Duration::from_hours(24)).then_some(())
            })
            .count();
        assert!(of_a_day < 200, "{of_a_day} receives in a day");
    }
}
