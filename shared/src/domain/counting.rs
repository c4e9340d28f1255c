//! What is counted of messages, in an instance's counters of a day: for its statistics, and to know how many of the
//! month's messages still wait.

use chrono::{DateTime, Datelike as _, Utc};

use super::message::{Kind, State};

/// What a day's counters count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Acknowledged by the server, by kind.
    Sent(Kind),
    /// Delivered.
    Delivered,
    /// Read.
    Read,
    /// Failed or expired.
    Failed,
    /// Not waiting any more, and waiting since the same month: sent, failed, expired or cancelled.
    Ended,
    /// Received.
    Received,
    /// Put off: it waits, since the same month, and its job is not in the queue.
    PutOff,
    /// Not put off any more.
    Back,
}

impl Counter {
    /// Whether to count again where the outcome is not known. This may count one too many, and never one too few. Too many messages that have ended, or that are back, would make room for more than may wait. Too few are
    /// found out where the instance seems full (see `storage::counters`).
    pub fn errs_upwards(self) -> bool {
        !matches!(self, Self::Ended | Self::Back)
    }
}

/// What is counted when an outgoing message that waits since `waits_since` has gone from one state to another at `now`. The task that brought the record there counts; the record does not go there twice.
pub fn moved(
    kind: Kind,
    before: State,
    after: State,
    waits_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<Counter> {
    let mut counters = match after {
        State::Failed | State::Expired => vec![Counter::Failed],
        State::Cancelled => Vec::new(),
        after => passed(before, after, kind),
    };
    counters.extend(ended(before, waits_since, now));
    counters
}

/// What is counted when a message that waits since `waits_since` is put off at `now`: its job leaves the queue.
pub fn put_off(waits_since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Counter> {
    (month(waits_since) == month(now)).then_some(Counter::PutOff)
}

/// What is counted when a message leaves a state at `now` in which it was put off until `put_off_at`, if it was.
pub fn back(
    before: State,
    put_off_at: Option<DateTime<Utc>>,
    waits_since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Option<Counter> {
    let was_away = put_off_at.is_some() && !before.is_past_sending();
    (was_away && month(waits_since) == month(now)).then_some(Counter::Back)
}

/// What is counted when a message goes from one state to a later one: a state that was
/// skipped counts too.
fn passed(before: State, after: State, kind: Kind) -> Vec<Counter> {
    // A message that we gave up had passed nothing before the receipt that proves us wrong.
    let before = match before {
        State::Failed | State::Expired => State::Queued,
        before => before,
    };
    let reached = |state: State| before.rank() < state.rank() && state.rank() <= after.rank();
    let mut counters = Vec::new();
    if reached(State::Sent) {
        counters.push(Counter::Sent(kind));
    }
    if reached(State::Delivered) {
        counters.push(Counter::Delivered);
    }
    if reached(State::Read) {
        counters.push(Counter::Read);
    }
    counters
}

/// What else is counted when a message ceases to wait: once, whatever follows. A message of an earlier month is not
/// counted, since the number that ended is compared with the number that began to wait in this month. Nor is one that
/// was due later, since it has not begun to wait.
fn ended(before: State, waits_since: DateTime<Utc>, now: DateTime<Utc>) -> Option<Counter> {
    let waited = !before.is_past_sending() && before != State::Scheduled;
    let is_the_end = waited && month(waits_since) == month(now);
    is_the_end.then_some(Counter::Ended)
}

fn month(at: DateTime<Utc>) -> (i32, u32) {
    (at.year(), at.month())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stops_waiting_once_and_in_its_own_month() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        let (accepted, later) = (at("2026-01-31T23:59:59Z"), at("2026-01-31T23:59:59.9Z"));
        assert_eq!(ended(State::Queued, accepted, later), Some(Counter::Ended));
        for before in [State::Sent, State::Delivered, State::Failed, State::Scheduled] {
            assert_eq!(ended(before, accepted, later), None, "{before}");
        }
        assert_eq!(ended(State::Queued, accepted, at("2026-02-01T00:00:00Z")), None);
    }

    #[test]
    fn a_message_comes_back_once_and_only_in_the_month_in_which_it_went() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        let (since, now, later) = (
            at("2026-01-31T22:00:00Z"),
            at("2026-01-31T23:00:00Z"),
            at("2026-02-01T00:00:00Z"),
        );
        assert_eq!(put_off(since, now), Some(Counter::PutOff));
        assert_eq!(put_off(since, later), None);
        let came = |before, put_off_at, now| back(before, put_off_at, since, now);
        assert_eq!(came(State::Queued, Some(later), now), Some(Counter::Back));
        assert_eq!(came(State::Queued, None, now), None, "it was not put off");
        assert_eq!(came(State::Sent, Some(later), now), None, "it was counted before");
        assert_eq!(came(State::Queued, Some(later), later), None);
    }

    #[test]
    fn a_message_that_was_taken_back_has_passed_nothing() {
        let at = DateTime::UNIX_EPOCH;
        let counted = |before| moved(Kind::Text, before, State::Cancelled, at, at);
        assert_eq!(counted(State::Queued), [Counter::Ended]);
        assert_eq!(counted(State::Scheduled), [], "it never waited");
    }

    #[test]
    fn a_receipt_that_overtook_the_acknowledgement_counts_for_both() {
        let counted = |before, after| passed(before, after, Kind::Text);
        assert_eq!(counted(State::Queued, State::Sent), [Counter::Sent(Kind::Text)]);
        assert_eq!(
            counted(State::Queued, State::Delivered),
            [Counter::Sent(Kind::Text), Counter::Delivered]
        );
        assert_eq!(
            counted(State::Sent, State::Read),
            [Counter::Delivered, Counter::Read]
        );
        assert_eq!(counted(State::Read, State::Played), []);
        assert_eq!(
            counted(State::Failed, State::Delivered),
            [Counter::Sent(Kind::Text), Counter::Delivered],
            "it was given up, and arrived"
        );
    }
}
