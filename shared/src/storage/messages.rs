//! The records of messages: ids, kinds, states and times, never content.

mod away;
mod counted;
mod log;
mod pointers;
mod revoked;
mod together;
pub mod unread;
mod waiting;
mod withdraw;

use std::fmt::Write as _;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use chrono::{DateTime, Utc};

use super::error::{StorageError, classify};
use super::group_receipts::read_receipts;
use super::item::{Item, Reader, n, s, seconds, text, time};
use super::keys;
use super::outcome::condition_failed;
use super::table::Table;
use crate::domain::message::{
    Direction, Failure, FailureCode, Kind, MessageRecord, RECORD_TERM, State, Truncation,
};
use crate::domain::person::Person;
use crate::domain::recipient::Recipient;
use crate::ids::{InstanceId, MessageId};

/// What came of putting a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is new.
    Created,
    /// A record of this id is there already, and was left as it is.
    AlreadyThere,
}

/// What came of a change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// The record is in the new state now.
    Made {
        /// The state before: a receipt may overtake the server's acknowledgement, and then
        /// stands for both.
        before: State,
        /// What the message is.
        kind: Kind,
        /// The record as it is now; `None` where this version cannot read it as a whole.
        record: Option<Box<MessageRecord>>,
    },
    /// The record was in this state or past it, or may not reach it any more.
    AlreadyPast {
        /// The record as it stands; `None` where this version cannot read it as a whole.
        record: Option<Box<MessageRecord>>,
    },
    /// There is no such record, or it has run out.
    Missing,
}

pub use crate::domain::message::Change;
pub use away::Away;
pub use counted::Counted;
pub use log::Looked;
pub use pointers::Pointed;
pub use revoked::Marked;
pub use together::{ReadTogether, Which};
pub use withdraw::Withdrawn;

/// What came of one write.
enum Attempt {
    Done(Transition),
    /// Only the time was in the way: the record's last change is newer, of this time.
    Older(DateTime<Utc>),
}

/// The message records of the table.
#[derive(Debug, Clone)]
pub struct Messages {
    pub(super) table: Table,
}

impl Messages {
    /// The messages of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Puts a record where there is none of its id. One write unit.
    pub async fn put(&self, record: &MessageRecord) -> Result<Put, StorageError> {
        Ok(match self.put_or_find(record).await? {
            None => Put::Created,
            Some(_) => Put::AlreadyThere,
        })
    }

    /// A message of this instance.
    pub async fn get(
        &self,
        instance: InstanceId,
        id: MessageId,
    ) -> Result<Option<MessageRecord>, StorageError> {
        let found = self.table.get(&keys::message(instance, id)).await?;
        found.as_ref().map(from_item).transpose()
    }

    /// A message of this instance as it was a moment ago. Half a read unit.
    pub async fn get_recent(
        &self,
        instance: InstanceId,
        id: MessageId,
    ) -> Result<Option<MessageRecord>, StorageError> {
        let found = self.table.get_recent(&keys::message(instance, id)).await?;
        found.as_ref().map(from_item).transpose()
    }

    /// Brings a record into a later state. A record in that state or past it is left alone. A proof that WhatsApp has
    /// the message overrules an end that was guessed, and takes its failure away. A missing record is not made: a
    /// caller that holds the message's job makes it from that.
    ///
    /// One write unit. A change with an older time than the last one takes another: it gets the time of that, since
    /// the times of a record never run backwards, whatever clocks they come from.
    pub async fn change(
        &self,
        instance: InstanceId,
        id: MessageId,
        change: &Change,
    ) -> Result<Transition, StorageError> {
        match self.change_at(instance, id, change, change.at).await? {
            Attempt::Done(transition) => Ok(transition),
            Attempt::Older(last) => match self.change_at(instance, id, change, last).await? {
                Attempt::Done(transition) => Ok(transition),
                Attempt::Older(_) => Err(StorageError::Conflict("others change it too".into())),
            },
        }
    }

    async fn change_at(
        &self,
        instance: InstanceId,
        id: MessageId,
        change: &Change,
        at: DateTime<Utc>,
    ) -> Result<Attempt, StorageError> {
        let mut expression = "SET #state = :state, #rank = :rank, updatedAt = :at".to_owned();
        let mut request = self
            .table
            .update(&keys::message(instance, id))
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#rank", "rank")
            .expression_attribute_values(":state", text(change.state))
            .expression_attribute_values(":rank", n(change.state.rank()))
            .expression_attribute_values(":from", n(change.state.may_follow_up_to()))
            .expression_attribute_values(":at", time(at));
        let mut condition = "#rank <= :from AND #rank < :rank".to_owned();
        if change.state.is_proof_of_sending() {
            for code in FailureCode::ALL.iter().filter(|code| code.is_a_guess()) {
                let _ = write!(condition, " OR errorCode = :{code}");
                request = request.expression_attribute_values(format!(":{code}"), text(code));
            }
        }
        // A later state stands for the ones that were skipped.
        let passed = match change.state {
            State::Sent => &["sentAt"][..],
            State::Delivered => &["sentAt", "deliveredAt"],
            State::Read | State::Played => &["sentAt", "deliveredAt", "readAt"],
            _ => &[],
        };
        for column in passed {
            let _ = write!(expression, ", {column} = if_not_exists({column}, :at)");
        }
        if let Some(failure) = &change.failure {
            expression.push_str(", errorCode = :code, errorMessage = :message, errorRetryable = :retryable");
            request = request
                .expression_attribute_values(":code", s(&failure.code))
                .expression_attribute_values(":message", s(&failure.message))
                .expression_attribute_values(
                    ":retryable",
                    aws_sdk_dynamodb::types::AttributeValue::Bool(failure.retryable),
                );
            if let Some(at) = failure.retry_after {
                expression.push_str(", errorRetryAfter = :retryAfter");
                request = request.expression_attribute_values(":retryAfter", time(at));
            }
        }
        if change.state.is_proof_of_sending() {
            expression.push_str(" REMOVE errorCode, errorMessage, errorRetryable, errorRetryAfter");
        }
        let sent = request
            .condition_expression(format!(
                "attribute_exists(pk) AND updatedAt <= :at AND ({condition})"
            ))
            .update_expression(expression)
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(
                aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld,
            )
            .send()
            .await;
        match sent {
            Ok(updated) => {
                let old = updated.attributes.unwrap_or_default();
                let read = Reader::new("message", &old);
                let was = from_item(&old).ok();
                let change = Change { at, ..change.clone() };
                Ok(Attempt::Done(Transition::Made {
                    before: read.known("state")?,
                    kind: read.known("kind")?,
                    record: was.map(|was| Box::new(was.changed(&change))),
                }))
            }
            Err(error) if condition_failed(&error) => {
                let found = match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item.as_ref(),
                    _ => None,
                };
                let Some(found) = found.filter(|item| !item.is_empty()) else {
                    return Ok(Attempt::Done(Transition::Missing));
                };
                let read = Reader::new("message", found);
                let (rank, last) = (read.number::<u8>("rank")?, read.time("updatedAt")?);
                let may_follow = rank <= change.state.may_follow_up_to() && rank < change.state.rank()
                    || change.state.is_proof_of_sending()
                        && read
                            .opt_str("errorCode")?
                            .is_some_and(FailureCode::is_text_of_a_guess);
                Ok(if may_follow && at < last {
                    Attempt::Older(last)
                } else {
                    let record = from_item(found).ok().map(Box::new);
                    Attempt::Done(Transition::AlreadyPast { record })
                })
            }
            Err(error) => Err(classify(error)),
        }
    }
}

fn to_item(record: &MessageRecord) -> Item {
    let mut item = keys::message(record.instance, record.id).attributes();
    let mut set = |name: &str, value| {
        item.insert(name.to_owned(), value);
    };
    set("id", text(record.id));
    set("instance", text(record.instance));
    set("direction", text(record.direction));
    set("kind", text(record.kind));
    set("chat", s(record.chat.to_jid()));
    set("state", text(record.state));
    set("rank", n(record.state.rank()));
    set("createdAt", time(record.created_at));
    set("updatedAt", time(record.updated_at));
    // Our own clock's time, where there is one: a sender may claim any time.
    let begun = record.received_at.unwrap_or(record.created_at);
    set("exp", seconds(begun + RECORD_TERM));
    for (name, value) in [("sentAt", record.sent_at), ("receivedAt", record.received_at)] {
        if let Some(value) = value {
            set(name, time(value));
        }
    }
    if let Some(truncated) = record.truncated {
        set("truncated", text(truncated));
    }
    for (name, value) in [
        ("phone", &record.person.phone),
        ("lid", &record.person.lid),
        ("reference", &record.reference),
        ("whatsappId", &record.whatsapp_id),
    ] {
        if let Some(value) = value {
            set(name, s(value));
        }
    }
    for (name, value) in [
        ("scheduledAt", record.scheduled_at),
        ("expiresAt", record.expires_at),
    ] {
        if let Some(value) = value {
            set(name, time(value));
        }
    }
    if let Some(request) = record.counted_by {
        set(counted::BY, text(request));
    }
    item
}

fn from_item(item: &Item) -> Result<MessageRecord, StorageError> {
    let read = Reader::new("message", item);
    let failure = match read.opt_str("errorCode")? {
        Some(code) => Some(Failure {
            code: code.to_owned(),
            message: read.str("errorMessage")?.to_owned(),
            retryable: read.flag("errorRetryable")?,
            retry_after: read.opt_time("errorRetryAfter")?,
        }),
        None => None,
    };
    Ok(MessageRecord {
        id: read.parse("id")?,
        instance: read.parse("instance")?,
        direction: read.parse::<Direction>("direction")?,
        kind: read.known("kind")?,
        chat: Recipient::of_stored_jid(read.str("chat")?),
        person: Person {
            phone: read.opt_str("phone")?.map(str::to_owned),
            lid: read.opt_str("lid")?.map(str::to_owned),
        },
        state: read.known("state")?,
        failure,
        reference: read.opt_str("reference")?.map(str::to_owned),
        created_at: read.time("createdAt")?,
        updated_at: read.time("updatedAt")?,
        scheduled_at: read.opt_time("scheduledAt")?,
        expires_at: read.opt_time("expiresAt")?,
        put_off_at: read.opt_time("putOffAt")?,
        sent_at: read.opt_time("sentAt")?,
        delivered_at: read.opt_time("deliveredAt")?,
        read_at: read.opt_time("readAt")?,
        whatsapp_id: read.opt_str("whatsappId")?.map(str::to_owned),
        received_at: read.opt_time("receivedAt")?,
        // A reason that this build does not know still counts as one.
        truncated: read
            .opt_str("truncated")?
            .map(|reason| reason.parse().unwrap_or(Truncation::Refused)),
        receipts: read_receipts(item)?,
        revoked_by: read.opt_parse("revokedBy")?,
        counted_by: read.opt_parse(counted::BY)?,
        is_shared: read.flag(counted::SHARED)?,
    })
}
