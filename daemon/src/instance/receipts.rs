//! Receipts bring messages that were sent into later states.

use std::sync::Arc;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use shared::domain::message::State;
use shared::ids::{InstanceId, MessageId};
use shared::storage::StorageError;
use shared::storage::counters::Counter;
use shared::storage::messages::{Change, Transition};
use tokio::sync::mpsc;
use tracing::warn;

use super::tally;
use crate::connection::ReceiptKind;
use crate::deps::Deps;
use crate::lease::chain;

/// How many receipts may wait to be stored. When it is full the session's events wait, and
/// with them the socket.
pub const WAITING: usize = 1_024;

/// One receipt of one message of ours.
#[derive(Debug, Clone, Copy)]
pub struct Receipt {
    /// The message.
    pub message: MessageId,
    /// What is told.
    pub kind: ReceiptKind,
    /// When.
    pub at: DateTime<Utc>,
}

/// Stores receipts as they come, in order, until the channel ends.
pub async fn store_all(deps: Arc<Deps>, instance: InstanceId, mut receipts: mpsc::Receiver<Receipt>) {
    while let Some(receipt) = receipts.recv().await {
        // WhatsApp counts a receipt as told once the library has it, so this is the only
        // chance: a few tries, then it is lost and the state stays behind.
        for attempt in 1..=3 {
            match store(&deps, instance, receipt).await {
                Ok(()) => break,
                Err(error) if !error.nature().is_permanent() && attempt < 3 => {}
                Err(error) => {
                    warn!(instance.id = %instance, message.id = %receipt.message, error = %chain(&error), "a receipt could not be stored");
                    break;
                }
            }
        }
    }
}

async fn store(deps: &Deps, instance: InstanceId, receipt: Receipt) -> Result<(), StorageError> {
    let state = match receipt.kind {
        ReceiptKind::Delivered => State::Delivered,
        ReceiptKind::Read => State::Read,
        ReceiptKind::Played => State::Played,
    };
    // WhatsApp tells seconds: a receipt of this very second would seem to come before the
    // acknowledgement that it followed.
    let now = deps.clock.now();
    let at = if now - receipt.at < TimeDelta::seconds(2) {
        now
    } else {
        receipt.at
    };
    let change = Change {
        state,
        at,
        failure: None,
    };
    match deps.messages.change(instance, receipt.message, &change).await? {
        Transition::Made { before, kind } => {
            let now = deps.clock.now();
            let mut counters = passed(before, state, kind);
            counters.extend(ended(before, receipt.message.created_at(), now));
            tally::count(deps, instance, &counters, now).await;
            Ok(())
        }
        Transition::AlreadyPast | Transition::Missing => Ok(()),
    }
}

/// What is counted when a message goes from one state to a later one: a state that was
/// skipped counts too.
pub fn passed(before: State, after: State, kind: shared::domain::message::Kind) -> Vec<Counter> {
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

/// What is counted beside it when a message that waited does so no longer: once, whatever
/// follows. One of an earlier month is not counted, because what ends is set against what
/// the month has accepted.
pub fn ended(before: State, accepted_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<Counter> {
    let month = |at: DateTime<Utc>| (at.year(), at.month());
    let is_the_end = !before.is_past_sending() && month(accepted_at) == month(now);
    is_the_end.then_some(Counter::Ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::domain::message::Kind;

    #[test]
    fn a_message_stops_waiting_once_and_in_its_own_month() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        let (accepted, later) = (at("2026-01-31T23:59:59Z"), at("2026-01-31T23:59:59.9Z"));
        assert_eq!(ended(State::Queued, accepted, later), Some(Counter::Ended));
        for before in [State::Sent, State::Delivered, State::Failed] {
            assert_eq!(ended(before, accepted, later), None, "{before}");
        }
        assert_eq!(ended(State::Queued, accepted, at("2026-02-01T00:00:00Z")), None);
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
    }
}
