//! Sessions, by their names. They run out by themselves.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use chrono::{DateTime, Utc};

use super::error::{StorageError, classify};
use super::item::{Item, Reader, n, s, seconds, text, time};
use super::keys;
use super::outcome::condition_failed;
use super::table::Table;
use crate::auth::session::{GRACE, LIFETIME, RefreshToken, Salt, Session};

/// What came of offering a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    /// It was good, or is within its grace: this is the next one, which is stored in its place.
    Done(RefreshToken),
    /// It was used before: the session is over.
    Replayed(Session),
    /// There is no such session: it never was, has ended or has run out.
    Unknown,
}

/// The sessions of the table.
#[derive(Debug, Clone)]
pub struct Sessions {
    table: Table,
}

impl Sessions {
    /// The sessions of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Stores a new session with its first token.
    pub async fn begin(&self, token: &RefreshToken, session: &Session) -> Result<(), StorageError> {
        let mut item = keys::session(&session.name).attributes();
        item.insert("user".into(), text(session.user));
        item.insert("subscription".into(), text(session.subscription));
        item.insert("credentials".into(), n(session.credentials));
        item.insert("hash".into(), s(token.hash()));
        item.insert("createdAt".into(), time(session.created_at));
        item.insert("expiresAt".into(), time(session.expires_at));
        item.insert("exp".into(), seconds(session.expires_at));
        self.table
            .put(item)
            // The second condition is for the SDK's next attempt after a lost answer: it finds what it wrote.
            .condition_expression("attribute_not_exists(pk) OR #hash = :hash")
            .expression_attribute_names("#hash", "hash")
            .expression_attribute_values(":hash", s(token.hash()))
            .send()
            .await
            .map_err(classify)?;
        Ok(())
    }

    /// The session of this name, if it has not run out. One read unit.
    pub async fn get(&self, name: &str, now: DateTime<Utc>) -> Result<Option<Session>, StorageError> {
        let found = self.table.get(&keys::session(name)).await?;
        let session = found.map(|item| session_from_item(name, &item)).transpose()?;
        Ok(session.filter(|session| session.expires_at > now))
    }

    /// Replaces `offered` with the next token and prolongs the session. Of several requests with one token the first
    /// succeeds. A second within [`GRACE`] is given the same next token. Any other is a replay, and ends the session.
    /// One write unit; two within the grace.
    pub async fn rotate(&self, offered: &RefreshToken, now: DateTime<Utc>) -> Result<Rotated, StorageError> {
        let name = &offered.session();
        let salt = Salt::generate();
        let next = offered.successor(&salt);
        let expires_at = now + LIFETIME;
        let sent = self
            .table.update(&keys::session(name))
            .update_expression(
                "SET #hash = :next, formerHash = :offered, salt = :salt, rotatedAt = :now, expiresAt = :at, #exp = :exp \
                 REMOVE graceUsedBy",
            )
            .condition_expression("#hash = :offered AND expiresAt > :now")
            .expression_attribute_names("#hash", "hash")
            .expression_attribute_names("#exp", "exp")
            .expression_attribute_values(":next", s(next.hash()))
            .expression_attribute_values(":offered", s(offered.hash()))
            .expression_attribute_values(":salt", s(salt.as_str()))
            .expression_attribute_values(":at", time(expires_at))
            .expression_attribute_values(":exp", seconds(expires_at))
            .expression_attribute_values(":now", time(now))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(Rotated::Done(next)),
            Err(error) if condition_failed(&error) => error,
            Err(error) => return Err(classify(error)),
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(classify(error));
        };
        let Some(item) = failed.item.as_ref().filter(|item| !item.is_empty()) else {
            return Ok(Rotated::Unknown);
        };
        let session = session_from_item(name, item)?;
        if session.expires_at <= now {
            return Ok(Rotated::Unknown);
        }
        if Reader::new("session", item).str("hash")? == next.hash() {
            // Nobody else has `next`, so this is the SDK's second attempt after the answer to the first was lost.
            return Ok(Rotated::Done(next));
        }
        if let Some(next) = self.within_grace(offered, item, now).await? {
            return Ok(Rotated::Done(next));
        }
        self.end(name).await?;
        Ok(Rotated::Replayed(session))
    }

    /// The next token once more, for a request with the token just before it. `None` where `offered` is not that
    /// token, was traded too long ago, or has come once more already.
    async fn within_grace(
        &self,
        offered: &RefreshToken,
        item: &Item,
        now: DateTime<Utc>,
    ) -> Result<Option<RefreshToken>, StorageError> {
        let read = Reader::new("session", item);
        let rotated_at = read.opt_time("rotatedAt")?;
        let is_recent = rotated_at.is_some_and(|at| now < at + GRACE);
        if !is_recent || read.opt_str("formerHash")? != Some(&offered.hash()) {
            return Ok(None);
        }
        let next = offered.successor(&Salt::from_stored(read.str("salt")?));
        let sent = self
            .table
            .update(&keys::session(&offered.session()))
            .update_expression("SET graceUsedBy = :me")
            // The second condition is for the SDK's next attempt, after the answer to the first was lost.
            .condition_expression(
                "#hash = :next AND (attribute_not_exists(graceUsedBy) OR graceUsedBy = :me)",
            )
            .expression_attribute_names("#hash", "hash")
            .expression_attribute_values(":next", s(next.hash()))
            .expression_attribute_values(":me", s(format!("{:032x}", rand::random::<u128>())))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Some(next)),
            Err(error) if condition_failed(&error) => Ok(None),
            Err(error) => Err(classify(error)),
        }
    }

    /// Ends a session. Its access tokens are refused from here on. Ending one that is over changes nothing.
    pub async fn end(&self, name: &str) -> Result<(), StorageError> {
        self.table
            .delete(&keys::session(name))
            .send()
            .await
            .map_err(classify)?;
        Ok(())
    }
}

pub(super) fn session_from_item(name: &str, item: &Item) -> Result<Session, StorageError> {
    let read = Reader::new("session", item);
    Ok(Session {
        name: name.to_owned(),
        user: read.parse("user")?,
        subscription: read.parse("subscription")?,
        credentials: read.number("credentials")?,
        created_at: read.time("createdAt")?,
        expires_at: read.time("expiresAt")?,
    })
}
