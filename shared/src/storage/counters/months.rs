//! The updates that count messages against the quotas of subscriptions. Messages of one month that come while an update
//! of it is under way share the next one (see `gather.rs`), as far as the month has room for them.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, Utc};

use super::DAY_TERM;
use super::quota::{Quota, attribute};
use crate::ids::InstanceId;
use crate::storage::error::{StorageError, classify};
use crate::storage::gather::{Write, all_failed};
use crate::storage::item::{Item, Reader, n, seconds};
use crate::storage::keys::Key;
use crate::storage::once::update_once;
use crate::storage::table::Table;

/// Counts in this table.
#[derive(Debug)]
pub(super) struct Months(pub(super) Table);

/// A month's item, and what it has room for. Messages that are counted under different limits do not share an update.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Allowance {
    /// The item.
    pub(super) month: Key,
    /// The most messages of the month.
    pub(super) limit: u32,
    /// When the next month begins.
    pub(super) renews_at: DateTime<Utc>,
}

/// A message that is counted: the instance among whose messages it counts as well, if it waits to be sent.
type Message = Option<InstanceId>;

/// What came of an update.
enum Added {
    /// All of the messages are counted. What each is told, in their order.
    All(Vec<Result<Quota, StorageError>>),
    /// None of them is, since the month has room for so many only.
    None { room: usize },
}

impl Write for Months {
    type Item = Allowance;
    type Request = Message;
    type Answer = Quota;

    /// Counts the first of these messages, as many as there is room for. One request and one write unit where all have
    /// room or none has; otherwise three of each, unless others count at the same moment.
    async fn write(&self, allowance: &Allowance, messages: Vec<Message>) -> Vec<Result<Quota, StorageError>> {
        let mut answers = Vec::with_capacity(messages.len());
        let mut together = messages.len();
        while answers.len() < messages.len() {
            let rest = &messages[answers.len()..];
            together = together.min(rest.len());
            match self.add(allowance, &rest[..together]).await {
                Ok(Added::All(counted)) => answers.extend(counted),
                Ok(Added::None { room }) => {
                    // Others may count meanwhile, so each further try is with fewer.
                    together = room.min(together - 1);
                    if together == 0 {
                        let renews_at = allowance.renews_at;
                        answers.extend(rest.iter().map(|_| Ok(Quota::Exceeded { renews_at })));
                    }
                }
                // Those behind are not counted either, and are told the same.
                Err(error) => answers.extend(all_failed(error, rest.len())),
            }
        }
        answers
    }
}

impl Months {
    /// Counts all of these messages, or none.
    async fn add(&self, allowance: &Allowance, messages: &[Message]) -> Result<Added, StorageError> {
        let limit = usize::try_from(allowance.limit).unwrap_or(usize::MAX);
        let Some(most_before) = limit.checked_sub(messages.len()) else {
            return Ok(Added::None { room: limit });
        };
        let mut of_instances = BTreeMap::<String, u64>::new();
        for instance in messages.iter().flatten() {
            *of_instances.entry(attribute(*instance)).or_default() += 1;
        }
        let mut request = self
            .0
            .update(&allowance.month)
            .condition_expression("attribute_not_exists(messages) OR messages <= :mostBefore")
            .expression_attribute_values(":mostBefore", n(most_before))
            .expression_attribute_values(":messages", n(messages.len()))
            .expression_attribute_values(":exp", seconds(allowance.renews_at + DAY_TERM))
            .return_values(ReturnValue::UpdatedNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        // A subscription has 40 instances at most, so the expression stays short.
        let mut additions = vec!["messages :messages".to_owned()];
        for (index, (name, count)) in of_instances.iter().enumerate() {
            additions.push(format!("#i{index} :i{index}"));
            request = request
                .expression_attribute_names(format!("#i{index}"), name)
                .expression_attribute_values(format!(":i{index}"), n(count));
        }
        let expression = format!("ADD {} SET exp = :exp", additions.join(", "));
        let error = match update_once(request.update_expression(expression)).await {
            Ok(updated) => {
                let item = updated.attributes.unwrap_or_default();
                return Ok(Added::All(told(&item, of_instances, messages)));
            }
            Err(error) => error,
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(classify(error));
        };
        let used = match &failed.item {
            Some(item) => Reader::new("month", item).opt_number::<usize>("messages")?,
            None => None,
        };
        // Where nobody tells how many are used, half of them try.
        let room = used.map_or(messages.len() / 2, |used| limit.saturating_sub(used));
        Ok(Added::None { room })
    }
}

/// What messages that were counted together are told: each has a number of its own among its instance's, in their
/// order. `item` has the last numbers, and `to_come` how many of these messages each instance has.
fn told(
    item: &Item,
    mut to_come: BTreeMap<String, u64>,
    messages: &[Message],
) -> Vec<Result<Quota, StorageError>> {
    let read = Reader::new("month", item);
    let numbered = messages.iter().map(|instance| -> Result<Quota, StorageError> {
        let Some(instance) = instance else {
            return Ok(Quota::Counted { of_instance: 0 });
        };
        let name = attribute(*instance);
        let last = item.get(&name).and_then(|value| value.as_n().ok());
        let last: Option<u64> = last.and_then(|last| last.parse().ok());
        let last = last.ok_or_else(|| read.corrupt("an instance's messages"))?;
        let behind = to_come.entry(name).or_default();
        *behind = behind.saturating_sub(1);
        let of_instance = last.saturating_sub(*behind);
        Ok(Quota::Counted { of_instance })
    });
    numbered.collect()
}
