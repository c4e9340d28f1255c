//! How many messages of an instance wait to be sent, as their records tell.

use aws_sdk_dynamodb::types::Select;
use chrono::{DateTime, TimeDelta, Utc};

use super::Messages;
use crate::domain::message::State;
use crate::ids::{InstanceId, MessageId};
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{s, text, time};
use crate::storage::keys;

/// Messages with older records do not wait, since they have expired.
const LONGEST_WAIT: TimeDelta = TimeDelta::days(4);

/// How long after its `expiresAt` a message may still be in the queue, until a daemon takes it and lets it expire.
const GRACE: TimeDelta = TimeDelta::hours(1);

/// The most pages of 1 MiB that are read: some 25,000 records, and 1,500 read units.
const MOST_PAGES: usize = 12;

impl Messages {
    /// How many of an instance's messages wait, counted up to `enough`; `None` where that takes too many reads. Half
    /// a read unit for each 4 KiB of records, newest first.
    pub async fn waiting(
        &self,
        instance: InstanceId,
        enough: u64,
        now: DateTime<Utc>,
    ) -> Result<Option<u64>, StorageError> {
        let mut found = 0;
        let mut start = None;
        for _ in 0..MOST_PAGES {
            let page = self
                .table
                .client()
                .query()
                .table_name(self.table.name())
                .key_condition_expression("pk = :pk AND sk > :oldest")
                .filter_expression(
                    "#state = :queued AND (attribute_not_exists(expiresAt) OR expiresAt > :over)",
                )
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":pk", s(keys::message_partition(instance)))
                .expression_attribute_values(":oldest", text(first_of(now - LONGEST_WAIT)))
                .expression_attribute_values(":queued", text(State::Queued))
                .expression_attribute_values(":over", time(now - GRACE))
                .select(Select::Count)
                .scan_index_forward(false)
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(classify)?;
            found += u64::try_from(page.count).unwrap_or(0);
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if found >= enough {
                return Ok(Some(enough));
            }
            if start.is_none() {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// The least id of a message that was made at `at`.
fn first_of(at: DateTime<Utc>) -> MessageId {
    let millis = u128::try_from(at.timestamp_millis()).unwrap_or(0);
    MessageId::from_bytes((millis << 80).to_be_bytes())
}
