//! Idempotency keys: the first request with a key fixes what is asked, and the id of the message or question that it makes.
//!
//! Requests are compared by their meaning, in a form that the caller of [`IdempotencyKeys::claim`] makes, and not by
//! their bytes: white space and the order of members do not matter. The item keeps a digest of both. An older build
//! compares bytes alone, and reads and writes `body`. So that both builds can serve side by side, the same bytes
//! count as the same request too, unless [`Asked::by_meaning`] says otherwise. An item without a digest of the meaning, or
//! with one of another form, is compared by its bytes.

use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use super::error::{StorageError, classify};
use super::item::{Item, Reader, n, s, seconds, text, time};
use super::keys;
use super::outcome::{condition_failed, held};
use super::table::Table;
use crate::ids::{InstanceId, MessageId};

/// How long a key is kept.
pub const TERM: TimeDelta = TimeDelta::hours(24);

/// What came of claiming a key for what has an `I`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim<I> {
    /// The key is new: go on with the id that was offered.
    New,
    /// The key came before with the same request: go on with what that one made, or answer for it.
    Known {
        /// The id that the first request was offered.
        first: I,
        /// Whether its job is known to be in the queue: see [`IdempotencyKeys::note_queued`].
        is_queued: bool,
    },
    /// The key came before with another request.
    OtherRequest,
}

/// What a request asks, as far as it is compared.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Their meaning, in a form that does not depend on how the request is written.
    pub meaning: &'a [u8],
    /// The number of that form. It is raised when the same request gets another one.
    pub form: u32,
    /// Whether requests that both have a meaning of this form are compared by that alone. For bytes that depend on more than
    /// the request.
    pub by_meaning: bool,
}

impl Asked<'_> {
    fn digests(&self) -> Digests {
        Digests {
            body: hex::encode(Sha256::digest(self.bytes)),
            form: format!("{}#", self.form),
            meaning: hex::encode(Sha256::digest(self.meaning)),
            by_meaning: self.by_meaning,
        }
    }
}

/// What is kept of a request.
struct Digests {
    body: String,
    /// What stands before a meaning of this form.
    form: String,
    meaning: String,
    by_meaning: bool,
}

impl Digests {
    fn asked(&self) -> String {
        format!("{}{}", self.form, self.meaning)
    }

    /// What the request is to a key that this item is of.
    fn claim<I: FromStr>(&self, item: &Item) -> Result<Claim<I>, StorageError> {
        let read = Reader::new("idempotency key", item);
        let asked = read.opt_str("asked")?;
        let is_comparable = asked.is_some_and(|asked| asked.starts_with(&self.form));
        let has_same_meaning = asked == Some(&self.asked());
        let has_same_bytes = read.str("body")? == self.body;
        if has_same_meaning || has_same_bytes && !(self.by_meaning && is_comparable) {
            Ok(Claim::Known {
                first: read.parse("message")?,
                is_queued: item.contains_key("queuedAt"),
            })
        } else {
            Ok(Claim::OtherRequest)
        }
    }
}

/// The first request with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct First {
    /// The message that it made.
    pub message: MessageId,
    /// The digest of its bytes.
    body: String,
}

impl First {
    /// Whether it had these bytes.
    pub fn had(&self, bytes: &[u8]) -> bool {
        self.body == hex::encode(Sha256::digest(bytes))
    }
}

/// The idempotency keys of the table.
#[derive(Debug, Clone)]
pub struct IdempotencyKeys {
    table: Table,
}

impl IdempotencyKeys {
    /// The keys of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The message of the request that came with this key before, where it made one. One read unit.
    pub async fn get(
        &self,
        instance: InstanceId,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<MessageId>, StorageError> {
        let first = self.first(instance, key, now).await?;
        Ok(first.map(|first| first.message))
    }

    /// The same, with what tells whether it was this very request. One read unit.
    pub async fn first(
        &self,
        instance: InstanceId,
        key: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<First>, StorageError> {
        let key = keys::idempotency(instance, &hex::encode(Sha256::digest(key)));
        let Some(item) = self.table.get(&key).await? else {
            return Ok(None);
        };
        let read = Reader::new("idempotency key", &item);
        let is_over = read.number::<i64>("exp")? <= now.timestamp();
        let made = read.str("message")?.parse().ok();
        let body = read.str("body")?.to_owned();
        Ok(made.filter(|_| !is_over).map(|message| First { message, body }))
    }

    /// Claims a key for a request. One write unit.
    pub async fn claim<I: Display + FromStr>(
        &self,
        instance: InstanceId,
        key: &str,
        asked: Asked<'_>,
        offered: I,
        now: DateTime<Utc>,
    ) -> Result<Claim<I>, StorageError> {
        let asked = asked.digests();
        let mut item = keys::idempotency(instance, &hex::encode(Sha256::digest(key))).attributes();
        item.insert("body".into(), s(&asked.body));
        item.insert("asked".into(), s(asked.asked()));
        item.insert("message".into(), text(offered));
        item.insert("exp".into(), seconds(now + TERM));
        let sent = self
            .table
            .put(item)
            // A key that has run out may still be there: expiry removes items some time later.
            .condition_expression("attribute_not_exists(pk) OR exp <= :now")
            .expression_attribute_values(":now", n(now.timestamp()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(Claim::New),
            Err(error) if condition_failed(&error) => error,
            Err(error) => return Err(classify(error)),
        };
        let Some(PutItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(classify(error));
        };
        asked.claim(&failed.item.clone().unwrap_or_default())
    }

    /// What a request would be to its key, without claiming it: `None` where it would be the first. One read unit.
    pub async fn look<I: FromStr>(
        &self,
        instance: InstanceId,
        key: &str,
        asked: Asked<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<Claim<I>>, StorageError> {
        let key = keys::idempotency(instance, &hex::encode(Sha256::digest(key)));
        let Some(item) = self.table.get(&key).await? else {
            return Ok(None);
        };
        let is_over = Reader::new("idempotency key", &item).number::<i64>("exp")? <= now.timestamp();
        if is_over {
            return Ok(None);
        }
        asked.digests().claim(&item).map(Some)
    }

    /// Notes that the job of a key's message is in the queue, so that no later request with the key sends it again.
    /// One write unit, which the first request need not pay: while the queue itself remembers the job, a second one
    /// does no harm.
    pub async fn note_queued(
        &self,
        instance: InstanceId,
        key: &str,
        message: MessageId,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let key = keys::idempotency(instance, &hex::encode(Sha256::digest(key)));
        let sent = self
            .table
            .update(&key)
            .update_expression("SET queuedAt = :now")
            .condition_expression("message = :message")
            .expression_attribute_values(":now", time(now))
            .expression_attribute_values(":message", text(message))
            .send()
            .await;
        // Freed, or run out and removed meanwhile.
        held(sent)?;
        Ok(())
    }

    /// Frees a key whose request came to nothing, where it still stands for what that request made. The next request with it
    /// counts as the first. One write unit.
    pub async fn release(
        &self,
        instance: InstanceId,
        key: &str,
        made: impl Display,
    ) -> Result<(), StorageError> {
        let key = keys::idempotency(instance, &hex::encode(Sha256::digest(key)));
        let sent = self
            .table
            .delete(&key)
            .condition_expression("message = :message")
            .expression_attribute_values(":message", text(made))
            .send()
            .await;
        held(sent)?;
        Ok(())
    }
}
