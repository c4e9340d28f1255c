//! What is known of a message's way to the server, and how that ends.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::domain::job::PutOff;
use shared::domain::message::{Failure, FailureCode, MessageRecord, State};
use tokio::time::Instant;

use super::deviceless::Deviceless;
use super::put_off::Later;
use super::traced::CameTo;

/// How long a record that was read is believed: a message that waits may be taken back.
const FRESH: Duration = Duration::from_secs(2);

/// Whether a record that was asked for then is still believed.
pub fn is_fresh(asked: Instant) -> bool {
    asked.elapsed() <= FRESH
}

/// What this process knows of a message's way so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Journey {
    /// It was on the wire, or may have been, and has no acknowledgement: it may have arrived.
    pub may_be_out: bool,
    /// Its job was received before, by another process: nobody knows what came of that.
    pub is_unknown: bool,
    /// Attempts that failed, for the pauses between them.
    pub failures: u32,
    /// What it waits for, where that has a code.
    pub waits_for: Option<FailureCode>,
    /// Until when, where WhatsApp says so.
    waits_until: Option<DateTime<Utc>>,
    /// How often was done what this side can do about a missing token of trust.
    pub trust_refreshes: u32,
    /// It was on the wire when a connection ended, and goes out alone from then on.
    pub is_suspect: bool,
    /// How often in a row a connection ended while it was alone on the wire.
    pub cuts: u32,
    /// The number of the last of these links.
    pub cut_link: u64,
    /// Look-ups of its number that failed in a row.
    pub look_ups: u32,
    /// When its record was read last.
    pub read_at: Option<Instant>,
    /// How often it was put off for something that failed.
    pub put_offs: u32,
    /// Since when something cannot be had that it needs before the wire, and how often that was tried.
    pub unready: Option<(Instant, u32)>,
    /// When those of many whom it goes to had what they need, so that its file or its page could be fetched.
    pub keys_at: Option<Instant>,
    /// When the recipient was shown that somebody types.
    pub typed_at: Option<Instant>,
    /// Looks that found its recipient without a device.
    pub deviceless: Deviceless,
    /// How often this process has brought it to a socket.
    pub attempts: u32,
    /// How its sending ended, once that is known.
    pub came_to: Option<CameTo>,
}

impl Journey {
    /// The journey of a message whose job was received just now, and perhaps before.
    pub fn begun(was_received_before: bool) -> Self {
        Self {
            is_unknown: was_received_before,
            ..Self::default()
        }
    }

    /// What becomes of the message when its time runs out.
    pub fn out_of_time(&self) -> (State, Failure) {
        if self.may_be_out {
            (State::Failed, Failure::of(FailureCode::NoAcknowledgement))
        } else {
            let code = self.waits_for.unwrap_or(FailureCode::Expired);
            if self.is_unknown && !code.is_a_guess() {
                // A receipt must be able to prove this wrong.
                return (State::Failed, Failure::of(FailureCode::NoAcknowledgement));
            }
            let until = self
                .waits_until
                .filter(|_| code == FailureCode::ReachoutRestricted);
            (State::Expired, Failure::of(code).until(until))
        }
    }

    /// Goes on with the journey of a job that was put off, perhaps by another process.
    pub fn goes_on(&mut self, put_off: &PutOff) {
        self.waits_for = self.waits_for.or(put_off.code.parse().ok());
        self.waits_until = self.waits_until.or(put_off.until);
        self.may_be_out |= put_off.may_be_out;
        self.put_offs = self.put_offs.max(put_off.times);
    }

    /// Whether its record was read so lately that it is believed.
    pub fn was_just_read(&self) -> bool {
        self.read_at.is_some_and(is_fresh)
    }

    /// The connection stood, whatever came of the message.
    pub fn clear(&mut self) {
        self.is_suspect = false;
        self.cuts = 0;
    }

    /// The connection ended under the message, which was alone on it or not.
    pub fn cut(&mut self, was_alone: bool, link: u64) {
        self.is_suspect = true;
        self.cut_link = link;
        self.cuts = if was_alone { self.cuts + 1 } else { 0 };
    }
}

/// How a message's sending ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// The server has it.
    Sent,
    /// No waiting helps.
    Failed(Failure),
    /// Its time ran out.
    OutOfTime,
    /// It waits for longer than a moment, outside of its queue.
    Later(Later),
    /// It ends every connection.
    Poison,
    /// Its instance is gone.
    Gone,
    /// Its record, this one, says that nothing is left to do: it was taken back, or a receipt has come.
    Past(Box<MessageRecord>),
    /// Its record cannot be read, or says what a newer version knows: nobody can say whether it is to be sent.
    Unread,
    /// Another owner, or this one anew, goes on with it.
    GivenUp,
}

/// Why a round was not followed by another.
pub enum Stopped {
    /// It is over.
    End(End),
    /// The instance's links are forgotten: it may be gone.
    LookAgain,
}

impl From<End> for Stopped {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_on_the_wire_does_not_expire() {
        let code = |journey: Journey| {
            let (state, failure) = journey.out_of_time();
            (state, failure.code, failure.retryable)
        };
        let told = |state, code: FailureCode, again| (state, code.as_str().to_owned(), again);
        assert_eq!(
            code(Journey::default()),
            told(State::Expired, FailureCode::Expired, true)
        );
        let throttled = Journey {
            waits_for: Some(FailureCode::RateOverlimit),
            ..Journey::default()
        };
        assert_eq!(
            code(throttled.clone()),
            told(State::Expired, FailureCode::RateOverlimit, true)
        );
        let out = Journey {
            may_be_out: true,
            ..throttled
        };
        assert_eq!(
            code(out),
            told(State::Failed, FailureCode::NoAcknowledgement, false)
        );
    }

    #[test]
    fn only_cuts_alone_and_in_a_row_count() {
        let mut journey = Journey::default();
        journey.cut(false, 1);
        assert!(journey.is_suspect && journey.cuts == 0);
        journey.cut(true, 2);
        journey.cut(true, 3);
        assert_eq!(journey.cuts, 2);
        journey.clear();
        assert!(!journey.is_suspect && journey.cuts == 0);
    }
}
