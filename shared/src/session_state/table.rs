//! Session state in the table.

mod port;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure,
};
use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tracing::warn;

use super::fence::{self, Fence};
use super::{Before, Recalled, SessionState as _};
use crate::clock::Clock;
use crate::ids::InstanceId;
use crate::seal::{KeyError, Pin, Purpose, SealError, Sealer};
use crate::storage::{CALL_DEADLINE, StorageError, Table, classify, keys};

/// The longest value, in bytes. An item may have 400 KB (409,600 bytes), its key, its other
/// attributes and the seal included.
pub const MAX_VALUE_LENGTH: usize = 400_000;

/// The most keys on a page without values.
const KEYS_ON_A_PAGE: i32 = 500;

const WRITE_CONDITION: &str =
    "attribute_not_exists(#fence) OR #fence < :token OR (#fence = :token AND #seq <= :seq)";

type Item = HashMap<String, AttributeValue>;

/// The session state of one instance under one lease. The item of a key has `pk = sess#<instance>` and `sk = <key>`.
/// Its attributes are `fence` and `seq` (numbers), `v` (the sealed value; absent from a tombstone), `note` (a number
/// beside the value, which a tombstone keeps) and `exp` (seconds since the epoch, where it expires).
#[derive(Debug)]
pub struct TableSessionState {
    table: Table,
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
    instance: InstanceId,
    fence: Fence,
    /// Keeps the data keys of an instance whose state is in use.
    _pin: Pin,
}

impl TableSessionState {
    /// The state of `instance`, written under `fence`.
    pub fn new(
        table: Table,
        sealer: Arc<Sealer>,
        clock: Arc<dyn Clock>,
        instance: InstanceId,
        fence: Fence,
    ) -> Self {
        Self {
            _pin: sealer.pin(instance),
            table,
            sealer,
            clock,
            instance,
            fence,
        }
    }

    /// The fence that its writes are under.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }

    /// Replaces an item, with all that is in it.
    async fn write(
        &self,
        key: &str,
        value: Option<&[u8]>,
        expires: Option<DateTime<Utc>>,
    ) -> Result<(), StorageError> {
        let seq = fence::next_sequence(self.clock.now());
        let key = keys::session_entry(self.instance, key);
        let path = key.path();
        let mut item = key.attributes();
        if let Some(value) = value {
            item.insert("v".to_owned(), self.seal(&path, value).await?);
        }
        if let Some(expires) = expires {
            item.insert("exp".to_owned(), number(expires.timestamp()));
        }
        item.insert("fence".to_owned(), number(self.fence.token()));
        item.insert("seq".to_owned(), number(seq));
        self.still_ours()?;
        let written = self
            .table
            .client()
            .put_item()
            .table_name(self.table.name())
            .set_item(Some(item))
            .condition_expression(WRITE_CONDITION)
            .expression_attribute_names("#fence", "fence")
            .expression_attribute_names("#seq", "seq")
            .expression_attribute_values(":token", number(self.fence.token()))
            .expression_attribute_values(":seq", number(seq))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let Err(error) = written else {
            return Ok(());
        };
        match error.as_service_error() {
            Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                self.refused(failed.item.as_ref(), &path)
            }
            _ => Err(classify(error)),
        }
    }

    /// Writes a value, or a tombstone, beside the number of its item: the one that is there, or else `note`. Answers the
    /// item that was there, if that is asked for. It is an update and not a put. A put would take the number with it, and
    /// where its answer is lost nobody would know that number any more.
    async fn change(
        &self,
        key: &str,
        value: Option<&[u8]>,
        expires: Option<DateTime<Utc>>,
        note: Option<i64>,
        returned: ReturnValue,
    ) -> Result<Option<Item>, StorageError> {
        let seq = fence::next_sequence(self.clock.now());
        let key = keys::session_entry(self.instance, key);
        let path = key.path();
        let sealed = match value {
            Some(value) => Some(self.seal(&path, value).await?),
            None => None,
        };
        let (mut sets, mut removes) = (vec!["#fence = :token", "#seq = :seq"], Vec::new());
        let mut update = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(key.attributes()))
            .condition_expression(WRITE_CONDITION)
            .expression_attribute_names("#fence", "fence")
            .expression_attribute_names("#seq", "seq")
            .expression_attribute_names("#v", "v")
            .expression_attribute_names("#exp", "exp")
            .expression_attribute_values(":token", number(self.fence.token()))
            .expression_attribute_values(":seq", number(seq));
        if let Some(sealed) = sealed {
            sets.push("#v = :v");
            update = update.expression_attribute_values(":v", sealed);
        } else {
            removes.push("#v");
        }
        if let Some(expires) = expires {
            sets.push("#exp = :exp");
            update = update.expression_attribute_values(":exp", number(expires.timestamp()));
        } else {
            removes.push("#exp");
        }
        if let Some(note) = note {
            sets.push("#note = if_not_exists(#note, :note)");
            update = update
                .expression_attribute_names("#note", "note")
                .expression_attribute_values(":note", number(note));
        }
        let mut expression = format!("SET {}", sets.join(", "));
        if !removes.is_empty() {
            expression = format!("{expression} REMOVE {}", removes.join(", "));
        }
        self.still_ours()?;
        let written = update
            .update_expression(expression)
            .return_values(returned)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match written {
            Ok(written) => Ok(written.attributes),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    self.refused(failed.item.as_ref(), &path).map(|()| None)
                }
                _ => Err(classify(error)),
            },
        }
    }

    /// What `v` of the item at `path` is.
    async fn seal(&self, path: &str, value: &[u8]) -> Result<AttributeValue, StorageError> {
        if value.len() > MAX_VALUE_LENGTH {
            return Err(StorageError::TooLarge(
                "a value of session state has at most 400,000 bytes".into(),
            ));
        }
        let sealed = self
            .sealer
            .seal(self.instance, Purpose::Session, path.as_bytes(), value)
            .await
            .map_err(|error| sealing(error, path))?;
        Ok(AttributeValue::B(Blob::new(sealed)))
    }

    /// This is checked last, so that little time passes between the check and the request.
    fn still_ours(&self) -> Result<(), StorageError> {
        if self.is_writable() {
            Ok(())
        } else {
            Err(StorageError::Fenced)
        }
    }

    /// What `before`, which was written over, tells of `key`.
    async fn recalled(&self, key: String, before: Option<Item>) -> Result<Option<Recalled>, StorageError> {
        let Some(before) = before else {
            return Ok(None);
        };
        if let Some(note) = read_note(&before) {
            let before = Before::Note(note);
            return Ok(Some(Recalled { key, before }));
        }
        match self.read(before).await {
            Ok(found) => Ok(found.map(|(_, value)| Recalled {
                key,
                before: Before::Value(value),
            })),
            // Nobody can read it, and it is gone: its key goes on without it.
            Err(StorageError::Corrupt { field, .. }) => {
                // Its key may have a number.
                warn!(field, "a value that does not open was written over");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A write found an item that it may not replace. We wrote that item later ourselves, which makes this write an
    /// old one, or a newer owner wrote it.
    fn refused(&self, found: Option<&Item>, path: &str) -> Result<(), StorageError> {
        let corrupt = |field| StorageError::Corrupt {
            entity: "session state",
            key: path.to_owned(),
            field,
        };
        let found = found.ok_or_else(|| corrupt("fence"))?;
        let token = read_number(found, "fence").ok_or_else(|| corrupt("fence"))?;
        let seq = read_number(found, "seq").ok_or_else(|| corrupt("seq"))?;
        if token == self.fence.token() && fence::is_ours(seq) {
            return Ok(());
        }
        self.fence.revoke();
        Err(StorageError::Fenced)
    }

    /// The key and the value of an item; nothing for a tombstone and what has expired.
    async fn read(&self, mut item: Item) -> Result<Option<(String, Vec<u8>)>, StorageError> {
        let Some(AttributeValue::S(name)) = item.remove("sk") else {
            let key = keys::session_partition(self.instance);
            return Err(StorageError::Corrupt {
                entity: "session state",
                key,
                field: "sk",
            });
        };
        if self.is_gone(&item) {
            return Ok(None);
        }
        let path = keys::session_entry(self.instance, &name).path();
        let Some(AttributeValue::B(sealed)) = item.remove("v") else {
            return Err(StorageError::Corrupt {
                entity: "session state",
                key: path,
                field: "v",
            });
        };
        let value = self
            .sealer
            .open(self.instance, Purpose::Session, path.as_bytes(), sealed.as_ref())
            .await
            .map_err(|error| sealing(error, &path))?;
        Ok(Some((name, value)))
    }

    fn is_gone(&self, item: &Item) -> bool {
        let expired = expiry(item).is_some_and(|expires| expires <= self.clock.now());
        expired || !item.contains_key("v")
    }

    fn query(&self, prefix: &str, after: Option<&str>) -> QueryFluentBuilder {
        let start = after.map(|key| keys::session_entry(self.instance, key).attributes());
        let query = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .consistent_read(true)
            .set_exclusive_start_key(start)
            .expression_attribute_values(":pk", AttributeValue::S(keys::session_partition(self.instance)));
        if prefix.is_empty() {
            query.key_condition_expression("pk = :pk")
        } else {
            query
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()))
        }
    }

    /// The items of a page of keys without their values: with expired ones, without tombstones.
    async fn key_page(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<(Vec<Item>, Option<String>), StorageError> {
        let answer = self
            .query(prefix, after)
            .projection_expression("sk, #exp")
            .filter_expression("attribute_exists(#v)")
            .expression_attribute_names("#exp", "exp")
            .expression_attribute_names("#v", "v")
            .limit(KEYS_ON_A_PAGE)
            .send()
            .await
            .map_err(classify)?;
        Ok((
            answer.items.unwrap_or_default(),
            sort_key(answer.last_evaluated_key),
        ))
    }

    /// Reads one batch. What the store leaves out is asked for again, until the call's deadline.
    async fn batch_get(&self, batch: &[String]) -> Result<Vec<Item>, StorageError> {
        let deadline = Instant::now() + CALL_DEADLINE;
        let keys = batch
            .iter()
            .map(|key| keys::session_entry(self.instance, key).attributes())
            .collect();
        let mut wanted = Some(
            KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()
                .expect("keys are all it needs"),
        );
        let mut items = Vec::new();
        let mut pause = Duration::from_millis(25);
        while let Some(request) = wanted.take() {
            let answer = self
                .table
                .client()
                .batch_get_item()
                .request_items(self.table.name(), request)
                .send()
                .await
                .map_err(classify)?;
            let mut found = answer.responses.unwrap_or_default();
            items.append(&mut found.remove(self.table.name()).unwrap_or_default());
            wanted = answer
                .unprocessed_keys
                .and_then(|mut left| left.remove(self.table.name()));
            if wanted.is_some() {
                if Instant::now() + pause >= deadline {
                    return Err(StorageError::Throttled("a batch was left unfinished".into()));
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        Ok(items)
    }
}

fn sort_key(item: Option<Item>) -> Option<String> {
    match item?.remove("sk")? {
        AttributeValue::S(name) => Some(name),
        _ => None,
    }
}

/// The second from which on a value is gone.
fn expiry(item: &Item) -> Option<DateTime<Utc>> {
    let seconds = i64::try_from(read_number(item, "exp")?).ok()?;
    DateTime::from_timestamp(seconds, 0)
}

fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

fn read_note(item: &Item) -> Option<i64> {
    match item.get("note")? {
        AttributeValue::N(text) => text.parse().ok(),
        _ => None,
    }
}

fn read_number(item: &Item, name: &str) -> Option<u64> {
    match item.get(name)? {
        AttributeValue::N(text) => text.parse().ok(),
        _ => None,
    }
}

/// What a failure to seal or open means for the item at `path`.
fn sealing(error: SealError, path: &str) -> StorageError {
    match error {
        SealError::Storage(error) => error,
        SealError::Key(KeyError::Unavailable(_)) => StorageError::Unavailable(error.into()),
        SealError::DoesNotOpen => StorageError::Corrupt {
            entity: "session state",
            key: path.to_owned(),
            field: "v",
        },
        SealError::PurposeDenied(_) => StorageError::Refused(error.into()),
        SealError::Key(KeyError::WrongContext | KeyError::Refused(_)) | SealError::NoKey(_) => {
            StorageError::Unknown(error.into())
        }
    }
}
