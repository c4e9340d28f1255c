//! Locks after repeated failures to log in.
//!
//! An attempt on an account is counted before the password is looked at, so that no number
//! of guesses at once gets past the limit; a success takes the count back. An address is
//! counted after a failure alone: many people may log in from one at the same time, and one's own right
//! password must not buy more guesses.

use std::fmt;
use std::net::IpAddr;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, TimeDelta, Utc};

use super::error::{StorageError, classify};
use super::item::{Reader, n, seconds, time};
use super::keys;
use super::outcome::condition_failed;
use super::rates::neighbourhood;
use super::table::Table;
use crate::domain::account::EmailAddress;

/// How long a lock holds, and how long a failure counts.
pub const TERM: TimeDelta = TimeDelta::minutes(15);

/// What is locked.
#[derive(Debug, Clone)]
pub enum Scope<'a> {
    /// An account by its e-mail address, whether there is one or not.
    Account(&'a EmailAddress),
    /// A source address: it may try more accounts than one may have tries.
    Address(IpAddr),
}

impl Scope<'_> {
    /// Failures within [`TERM`] that lock it.
    pub const fn limit(&self) -> u32 {
        match self {
            Self::Account(_) => 10,
            Self::Address(_) => 50,
        }
    }
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(email) => write!(f, "account#{}", email.canonical()),
            Self::Address(address) => write!(f, "address#{}", neighbourhood(*address)),
        }
    }
}

/// Whether an attempt may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It is counted as a failure until [`Lockouts::clear`].
    Allowed,
    /// It is the last before the lock, which begins with it.
    Last {
        /// When the lock ends.
        until: DateTime<Utc>,
    },
    /// There were too many.
    Locked {
        /// When the lock ends.
        until: DateTime<Utc>,
    },
}

/// The locks of the table.
#[derive(Debug, Clone)]
pub struct Lockouts {
    table: Table,
}

impl Lockouts {
    /// The locks of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Counts an attempt. One write unit; two for the one that begins a lock or a new term.
    pub async fn attempt(&self, scope: &Scope<'_>, now: DateTime<Utc>) -> Result<Attempt, StorageError> {
        // A second turn only where the item's term was over and somebody else cleared it first.
        for _ in 0..3 {
            let sent = self
                .table
                .client()
                .update_item()
                .table_name(self.table.name())
                .set_key(Some(keys::lockout(&scope.to_string()).attributes()))
                .update_expression(
                    "ADD failures :one SET startedAt = if_not_exists(startedAt, :now), #exp = :exp",
                )
                .condition_expression(
                    "attribute_not_exists(pk) OR (attribute_not_exists(lockedUntil) AND startedAt > :oldest)",
                )
                .expression_attribute_names("#exp", "exp")
                .expression_attribute_values(":one", n(1))
                .expression_attribute_values(":now", time(now))
                .expression_attribute_values(":oldest", time(now - TERM))
                .expression_attribute_values(":exp", seconds(now + TERM * 2))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .send()
                .await;
            let error = match sent {
                Ok(output) => {
                    let item = output.attributes.unwrap_or_default();
                    let failures: u32 = Reader::new("lock-out", &item).number("failures")?;
                    if failures < scope.limit() {
                        return Ok(Attempt::Allowed);
                    }
                    let until = now + TERM;
                    self.lock(scope, until).await?;
                    return Ok(if failures == scope.limit() {
                        Attempt::Last { until }
                    } else {
                        Attempt::Locked { until }
                    });
                }
                Err(error) if condition_failed(&error) => error,
                Err(error) => return Err(classify(error)),
            };
            let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error()
            else {
                return Err(classify(error));
            };
            let item = failed.item.clone().unwrap_or_default();
            let read = Reader::new("lock-out", &item);
            if let Some(until) = read.opt_time("lockedUntil")?.filter(|until| *until > now) {
                return Ok(Attempt::Locked { until });
            }
            self.clear_since(scope, read.time("startedAt")?).await?;
        }
        Err(StorageError::Conflict(
            "a lock-out's term ends over and over".into(),
        ))
    }

    /// Until when a scope is locked, without counting an attempt. Half a read unit.
    pub async fn locked_until(
        &self,
        scope: &Scope<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StorageError> {
        let found = self.table.get_recent(&keys::lockout(&scope.to_string())).await?;
        let until = match &found {
            Some(item) => Reader::new("lock-out", item).opt_time("lockedUntil")?,
            None => None,
        };
        Ok(until.filter(|until| *until > now))
    }

    /// Takes back what was counted, and ends a lock before its time.
    pub async fn clear(&self, scope: &Scope<'_>) -> Result<(), StorageError> {
        self.table
            .client()
            .delete_item()
            .table_name(self.table.name())
            .set_key(Some(keys::lockout(&scope.to_string()).attributes()))
            .send()
            .await
            .map_err(classify)?;
        Ok(())
    }

    async fn lock(&self, scope: &Scope<'_>, until: DateTime<Utc>) -> Result<(), StorageError> {
        let sent = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::lockout(&scope.to_string()).attributes()))
            .update_expression("SET lockedUntil = if_not_exists(lockedUntil, :until)")
            // A success that came in between has cleared the count.
            .condition_expression("failures >= :limit")
            .expression_attribute_values(":until", time(until))
            .expression_attribute_values(":limit", n(scope.limit()))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) if condition_failed(&error) => Ok(()),
            Err(error) => Err(classify(error)),
        }
    }

    /// Clears a count whose term is over, unless somebody did and a new one has begun.
    async fn clear_since(&self, scope: &Scope<'_>, started_at: DateTime<Utc>) -> Result<(), StorageError> {
        let sent = self
            .table
            .client()
            .delete_item()
            .table_name(self.table.name())
            .set_key(Some(keys::lockout(&scope.to_string()).attributes()))
            .condition_expression("startedAt = :started")
            .expression_attribute_values(":started", time(started_at))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error) if condition_failed(&error) => Ok(()),
            Err(error) => Err(classify(error)),
        }
    }
}
