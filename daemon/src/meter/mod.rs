//! Counts what this daemon does and has in hand. Its beat and `GET /metrics` (`crate::web::metrics`) tell the numbers.

mod count;
mod hands;
mod labels;
mod memory;
mod minute;
mod times;

use shared::domain::instance::Status;
use shared::domain::message::{Change, FailureCode, State};
use tokio::time::Instant;

pub use self::count::{Counted, Gauge, Gauges, Named, Total, Totals};
pub use self::hands::{Hand, Hands};
pub use self::labels::{QuestionEnd, Retry, SendEnd};
pub use self::memory::resident_bytes;
pub use self::minute::LastMinute;
pub use self::times::Times;
use crate::stop::Course;

/// What a daemon counts of itself.
#[derive(Debug, Default)]
pub struct Meter {
    /// Instances that have a task to keep them connected.
    pub sessions: Gauge,
    /// The same instances by status, as their tasks know it.
    pub statuses: Gauges<Status>,
    /// Those of them that are not connected because WhatsApp makes a pause necessary.
    pub pauses: Gauges<Course>,
    /// Sessions that ended, and are followed by another.
    pub reconnects: Totals<Course>,
    /// Sessions that ended for good, by the status in which that leaves the instance.
    pub ended: Totals<Status>,
    /// Jobs taken from the queues of sends.
    pub jobs: Gauge,
    /// Who has these jobs.
    pub hands: Hands,
    /// Messages that the server acknowledged.
    pub sent: LastMinute,
    /// How the sending of messages ended.
    pub sends: Totals<SendEnd>,
    /// Why messages failed or expired.
    pub failures: Totals<FailureCode>,
    /// Attempts to send a message that are followed by another, unless the message's time runs out.
    pub retries: Totals<Retry>,
    /// Messages that were put off, to be sent after a minute or later.
    pub put_off: Total,
    /// The time from when a message was accepted, or was due, to when it went out on the attempt that was acknowledged.
    pub sent_after: Times,
    /// The time from then to its acknowledgement.
    pub acknowledged_after: Times,
    /// Messages that came in, each once.
    pub received: Total,
    /// What came of questions.
    pub questions: Totals<QuestionEnd>,
    /// Receipts that were not stored: the states of their messages stay behind.
    pub receipts_given_up: Total,
    /// What was not told of groups, contacts and calls, as there was no room for it, or the shard was given up before.
    pub notices_given_up: Total,
    /// What was not told of people's presence: it was too much, or the queue was in the way.
    pub presences_dropped: Total,
}

impl Meter {
    /// A message's sending has ended so, and that is stored.
    pub fn sending_ended(&self, change: &Change) {
        match change.state {
            State::Sent => {
                self.sent.note(Instant::now());
                self.sends.add(SendEnd::Sent);
            }
            State::Failed => self.sends.add(SendEnd::Failed),
            State::Expired => self.sends.add(SendEnd::Expired),
            _ => {}
        }
        if let Some(failure) = &change.failure
            && let Ok(code) = failure.code.parse::<FailureCode>()
        {
            self.failures.add(code);
        }
    }
}

/// What has come of events on their way to the queue of events. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Events {
    /// They wait for the queue.
    pub waiting: Gauge,
    /// The queue has them.
    pub queued: Total,
    /// The queue did not take them, or one before them: they are told again.
    pub failed: Total,
    /// The queue refused them for good.
    pub refused: Total,
    /// News of connections that are told to nobody, since too many waited.
    pub given_up: Total,
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shared::domain::message::Failure;

    use super::*;

    #[test]
    fn the_end_of_a_message_counts_once_and_with_its_reason() {
        let meter = Meter::default();
        let ends = |state, code: Option<FailureCode>| Change {
            state,
            at: DateTime::UNIX_EPOCH,
            failure: code.map(Failure::of),
        };
        meter.sending_ended(&ends(State::Sent, None));
        meter.sending_ended(&ends(State::Failed, Some(FailureCode::Poison)));
        meter.sending_ended(&ends(State::Expired, Some(FailureCode::Expired)));
        meter.sending_ended(&ends(State::Expired, Some(FailureCode::RateOverlimit)));
        meter.sending_ended(&ends(State::Queued, None));
        let ends: Vec<_> = meter.sends.all().map(|(_, count)| count).collect();
        assert_eq!(ends, [1, 1, 2]);
        assert_eq!(meter.sent.count(Instant::now()), 1);
        for (code, count) in meter.failures.all() {
            let is_one = [
                FailureCode::Poison,
                FailureCode::Expired,
                FailureCode::RateOverlimit,
            ];
            assert_eq!(count, u64::from(is_one.contains(&code)), "{code}");
        }
    }
}
