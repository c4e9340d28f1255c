//! A message and the states it goes through.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::person::Person;
use super::recipient::Recipient;
use super::text_enum;
use crate::ids::{InstanceId, MessageId, RequestId};

pub use super::content::Kind;
pub use super::failure::{Failure, FailureCode};

/// How long a message's record is kept: the message log reaches back 90 days.
pub const RECORD_TERM: TimeDelta = TimeDelta::days(90);

/// How long an accepted message may wait to be sent where the caller names no time.
pub const DEFAULT_EXPIRY: TimeDelta = TimeDelta::hours(24);

/// A message that still waits this long after its time has expired, even if no daemon has said so.
const EXPIRED_FOR_SURE: TimeDelta = TimeDelta::hours(1);

text_enum! {
    /// Who wrote it, seen from the instance.
    Direction {
        /// The instance sent it.
        Outgoing = "outgoing",
        /// The instance received it.
        Incoming = "incoming",
    }
}

text_enum! {
    /// How far a message has come. States never go backwards: see [`State::rank`].
    State {
        /// Accepted, due later.
        Scheduled = "scheduled",
        /// Stored durably, to be sent.
        Queued = "queued",
        /// WhatsApp's server has acknowledged it.
        Sent = "sent",
        /// It has reached the recipient's device; in a group, all recipients'.
        Delivered = "delivered",
        /// The recipient has seen it; in a group, all recipients.
        Read = "read",
        /// The recipient has played it.
        Played = "played",
        /// An incoming message has arrived.
        Received = "received",
        /// It will not be delivered; the record's [`Failure`] says why.
        Failed = "failed",
        /// Its time to be sent ran out.
        Expired = "expired",
        /// Its sender took it back before it was sent.
        Cancelled = "cancelled",
    }
    else
        /// One that a newer version has stored.
        Unknown = "unknown"
}

impl State {
    /// The order of states: a record's state changes only to one of a higher rank. The states that end a message rank
    /// above all; [`State::may_follow_up_to`] says from where they may be reached.
    pub const fn rank(self) -> u8 {
        match self {
            Self::Scheduled => 0,
            Self::Queued => 1,
            Self::Sent => 2,
            Self::Delivered => 3,
            Self::Read => 4,
            Self::Played => 5,
            Self::Received => 6,
            // Whatever it is, nothing is known to come after it.
            Self::Failed | Self::Expired | Self::Cancelled | Self::Unknown => 9,
        }
    }

    /// The highest rank that this state may follow. A refusal may come after the server's acknowledgement, but not
    /// after a receipt. Only a message that is not sent expires or is taken back.
    pub const fn may_follow_up_to(self) -> u8 {
        match self {
            Self::Failed => Self::Sent.rank(),
            Self::Expired | Self::Cancelled => Self::Queued.rank(),
            Self::Unknown => 0,
            _ => self.rank().saturating_sub(1),
        }
    }

    /// Whether this proves that WhatsApp has the message. Then it overrules an end that we only guessed
    /// ([`FailureCode::is_a_guess`]).
    pub const fn is_proof_of_sending(self) -> bool {
        matches!(self, Self::Sent | Self::Delivered | Self::Read | Self::Played)
    }

    /// Whether the job of a message in this state has nothing left to do. Not for [`Self::Unknown`]: leave such a job to a
    /// newer daemon.
    pub const fn is_past_sending(self) -> bool {
        self.rank() >= Self::Sent.rank()
    }
}

text_enum! {
    /// Why an incoming message's content is not whole, or not there.
    Truncation {
        /// It is larger than what can be stored or told of.
        TooLarge = "too_large",
        /// The store or the queue refused it for good.
        Refused = "refused",
    }
}

/// How many members of a group a message has reached. Each counts once, whatever number of
/// devices they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReceipts {
    /// How many have it.
    pub delivered: u32,
    /// How many have seen it.
    pub read: u32,
    /// How many there were when it was sent, the account itself left out.
    pub of: u32,
}

/// A new state, and what goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The new state.
    pub state: State,
    /// When.
    pub at: DateTime<Utc>,
    /// Why, for [`State::Failed`] and [`State::Expired`].
    pub failure: Option<Failure>,
}

/// A message as the table keeps it: never its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRecord {
    /// Its id.
    pub id: MessageId,
    /// The instance that sent or received it.
    pub instance: InstanceId,
    /// Who wrote it.
    pub direction: Direction,
    /// What it is.
    pub kind: Kind,
    /// The chat it belongs to.
    pub chat: Recipient,
    /// The other side, with both names where they are known; in a group, an incoming
    /// message's sender, and nobody for an outgoing one.
    pub person: Person,
    /// How far it has come.
    pub state: State,
    /// Why it failed, where it did.
    pub failure: Option<Failure>,
    /// The caller's own string.
    pub reference: Option<String>,
    /// When it was accepted or, for an incoming one, when WhatsApp says it was sent.
    pub created_at: DateTime<Utc>,
    /// When its state changed last.
    pub updated_at: DateTime<Utc>,
    /// When an outgoing one is or was due, where that is later than its acceptance.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// Until when an outgoing one is worth sending.
    pub expires_at: Option<DateTime<Utc>>,
    /// Until when an outgoing one that waits is put off: its job is in the due index then, and not in its queue.
    pub put_off_at: Option<DateTime<Utc>>,
    /// When the server acknowledged it.
    pub sent_at: Option<DateTime<Utc>>,
    /// When it was delivered.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When it was read.
    pub read_at: Option<DateTime<Utc>>,
    /// WhatsApp's id of a message that came in, be it from others or from another device of
    /// the account; that of one that was accepted here derives from [`Self::id`].
    pub whatsapp_id: Option<String>,
    /// When a message that came in did so.
    pub received_at: Option<DateTime<Utc>>,
    /// Why the content of a message that came in is not whole, where it is not.
    pub truncated: Option<Truncation>,
    /// How many members it has reached, for an outgoing message to a group once that is known.
    pub receipts: Option<GroupReceipts>,
    /// The message of kind `revoke` by which it was to be taken back last: it may have come to nothing since.
    pub revoked_by: Option<MessageId>,
    /// The request whose count against the quota stands for the message, of those that may come under one idempotency key;
    /// `None` where no other can come. It is named anew, since callers choose their `X-Request-Id`.
    pub counted_by: Option<RequestId>,
    /// Whether another of these requests goes by that count: it is not taken back any more.
    pub is_shared: bool,
}

impl MessageRecord {
    /// The record of a message of which nothing more is known: one to send is `queued`, and one from others `received`.
    pub fn new(
        id: MessageId,
        instance: InstanceId,
        direction: Direction,
        kind: Kind,
        chat: Recipient,
        person: Person,
        created_at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            instance,
            direction,
            kind,
            chat,
            person,
            state: match direction {
                Direction::Outgoing => State::Queued,
                Direction::Incoming => State::Received,
            },
            failure: None,
            reference: None,
            created_at,
            updated_at: created_at,
            scheduled_at: None,
            expires_at: None,
            put_off_at: None,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            whatsapp_id: None,
            received_at: None,
            truncated: None,
            receipts: None,
            revoked_by: None,
            counted_by: None,
            is_shared: false,
        }
    }

    /// Whether the message's request was answered with an error, and nothing is sent.
    pub fn was_not_accepted(&self) -> bool {
        let failure = self.failure.as_ref();
        self.state == State::Failed
            && failure.is_some_and(|failure| failure.code == FailureCode::NotAccepted.as_str())
    }

    /// Since when an outgoing message waits to be sent, or will.
    pub fn waits_since(&self) -> DateTime<Utc> {
        self.scheduled_at.unwrap_or(self.created_at)
    }

    /// The id of a message that came in, by the names that its stanza gives: that is the same at every delivery.
    pub fn id_of_inbound(
        instance: InstanceId,
        received_at: DateTime<Utc>,
        chat: &str,
        sender: &str,
        whatsapp_id: &str,
    ) -> MessageId {
        let instance = instance.to_string();
        MessageId::derived_in_order(received_at, &[&instance, chat, sender, whatsapp_id])
    }

    /// Who sent a message that came in, by the name that its stanza gave. What is said to the sender of that very message
    /// goes by this name. A record does not keep it, but its id was made of it. `None` where nobody is known.
    pub fn sender(&self) -> Option<Recipient> {
        // The record keeps milliseconds, the id microseconds.
        let (received_at, whatsapp_id) = (self.id.derived_at(), self.whatsapp_id.as_deref()?);
        let is_made_of = |sender: &Recipient| {
            let chat = if self.chat.group().is_some() {
                &self.chat
            } else {
                sender
            };
            let (chat, sender) = (chat.to_jid(), sender.to_jid());
            Self::id_of_inbound(self.instance, received_at, &chat, &sender, whatsapp_id) == self.id
        };
        // Where neither fits, the one that WhatsApp moves to.
        let lid = self.person.lid.clone().map(Recipient::Lid);
        let made_of = self.person.names().find(is_made_of);
        made_of.or(lid).or_else(|| self.person.names().next())
    }

    /// Whether the message may come to this state from the one that it is in. A proof that WhatsApp has it overrules an
    /// end that was only guessed.
    pub fn may_become(&self, state: State) -> bool {
        let rank = self.state.rank();
        let was_guessed = self
            .failure
            .as_ref()
            .is_some_and(|failure| FailureCode::is_text_of_a_guess(&failure.code));
        rank <= state.may_follow_up_to() && rank < state.rank() || state.is_proof_of_sending() && was_guessed
    }

    /// The record after a change that it may go through. A later state stands for those that were skipped, and no time
    /// runs backwards.
    #[must_use]
    pub fn changed(mut self, change: &Change) -> Self {
        let at = change.at.max(self.updated_at);
        self.state = change.state;
        self.updated_at = at;
        let skipped: &mut [&mut Option<DateTime<Utc>>] = match change.state {
            State::Sent => &mut [&mut self.sent_at],
            State::Delivered => &mut [&mut self.sent_at, &mut self.delivered_at],
            State::Read | State::Played => {
                &mut [&mut self.sent_at, &mut self.delivered_at, &mut self.read_at]
            }
            _ => &mut [],
        };
        for time in skipped {
            time.get_or_insert(at);
        }
        if change.failure.is_some() || change.state.is_proof_of_sending() {
            self.failure.clone_from(&change.failure);
        }
        self
    }

    /// The record as a reader at `now` is to see it. A message that waits though its time is over will not be sent
    /// any more, whatever became of its job: it has expired. An hour is left to a daemon that had it on the wire.
    #[must_use]
    pub fn as_of(mut self, now: DateTime<Utc>) -> Self {
        if let Some(over) = self.expires_at.filter(|over| now - *over > EXPIRED_FOR_SURE)
            && matches!(self.state, State::Scheduled | State::Queued)
        {
            self.state = State::Expired;
            self.updated_at = over;
            // A daemon may have had it on the wire and ended before it could say so.
            self.failure = Some(Failure::of(FailureCode::Expired).that_may_have_gone_out());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sender_has_the_name_by_which_the_message_came() {
        let instance = InstanceId::from_bytes([1; 16]);
        let at = DateTime::UNIX_EPOCH + TimeDelta::microseconds(1_700_000_000_123_456);
        let person = Person {
            phone: Some("15550100002".into()),
            lid: Some("100000000000002".into()),
        };
        let group: Recipient = "120363021033254949@g.us".parse().expect("a group");
        for name in ["15550100002@s.whatsapp.net", "100000000000002@lid"] {
            for chat in [name, "120363021033254949@g.us"] {
                let id = MessageRecord::id_of_inbound(instance, at, chat, name, "3A01");
                // The canonical chat need not go by that name.
                let canonical = if chat == name {
                    "15550100002".parse().expect("a number")
                } else {
                    group.clone()
                };
                let record = MessageRecord {
                    received_at: Some(at),
                    whatsapp_id: Some("3A01".into()),
                    ..MessageRecord::new(
                        id,
                        instance,
                        Direction::Incoming,
                        Kind::Text,
                        canonical,
                        person.clone(),
                        at,
                    )
                };
                assert_eq!(
                    record.sender().map(|sender| sender.to_jid()).as_deref(),
                    Some(name)
                );
            }
        }
    }

    #[test]
    fn receipts_outrank_the_acknowledgement_and_an_end_outranks_all() {
        assert!(State::Sent.rank() > State::Queued.rank());
        assert!(State::Read.rank() > State::Delivered.rank());
        assert!(State::Failed.rank() > State::Played.rank());
    }

    #[test]
    fn a_delivered_message_cannot_fail_and_a_sent_one_cannot_expire() {
        assert!(State::Sent.rank() <= State::Failed.may_follow_up_to());
        assert!(State::Delivered.rank() > State::Failed.may_follow_up_to());
        assert!(State::Sent.rank() > State::Expired.may_follow_up_to());
        assert!(State::Delivered.rank() > State::Delivered.may_follow_up_to());
        assert!(State::Queued.rank() <= State::Read.may_follow_up_to());
    }
}
