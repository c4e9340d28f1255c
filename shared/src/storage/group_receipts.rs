//! How far a message to a group has come with each of its members. Also the items that lead from a WhatsApp id to the
//! record of a message that came in.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};

use super::error::{StorageError, classify};
use super::item::{Item, Reader, b, n, s, seconds, text};
use super::keys;
use super::messages::Messages;
use super::outcome::held;
use crate::domain::message::{GroupReceipts, State};
use crate::domain::roster::{Reached, Roster};
use crate::ids::{InstanceId, MessageId};

/// How far a message to a group has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The message's state.
    pub state: State,
    /// The digest of the roster whose members the sets mark; `None` where it is not known yet.
    pub roster: Option<String>,
    /// Who has received it.
    pub delivered: Reached,
    /// Who has read it.
    pub read: Reached,
    /// How many members there are.
    pub of: u32,
    /// Rises with each change, so that no writer undoes another's change.
    pub revision: u64,
}

impl Messages {
    /// How far a message to a group has come. One read unit.
    pub async fn get_progress(
        &self,
        instance: InstanceId,
        id: MessageId,
    ) -> Result<Option<Progress>, StorageError> {
        let found = self.table.get(&keys::message(instance, id)).await?;
        found.as_ref().map(read_progress).transpose()
    }

    /// Notes whom a message to a group goes to. `false` where that is known already, or where there is no such
    /// record. One write unit.
    pub async fn begin_progress(
        &self,
        instance: InstanceId,
        id: MessageId,
        roster: &Roster,
    ) -> Result<bool, StorageError> {
        let sent = self
            .table
            .update(&keys::message(instance, id))
            .update_expression("SET roster = :roster, membersOf = :of")
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(roster)")
            .expression_attribute_values(":roster", s(roster.digest()))
            .expression_attribute_values(":of", n(roster.len()))
            .send()
            .await;
        done(sent)
    }

    /// Stores how far a message to a group has come, computed from `progress` as it was read. `false` where somebody
    /// else has changed it since. One write unit.
    pub async fn advance(
        &self,
        instance: InstanceId,
        id: MessageId,
        progress: &Progress,
    ) -> Result<bool, StorageError> {
        let bits = |reached: &Reached| b(reached.as_bytes());
        let request = self
            .table
            .update(&keys::message(instance, id))
            .update_expression(
                "SET membersDelivered = :delivered, membersRead = :read, membersRevision = :next",
            )
            .expression_attribute_values(":delivered", bits(&progress.delivered))
            .expression_attribute_values(":read", bits(&progress.read))
            .expression_attribute_values(":next", n(progress.revision + 1));
        let request = if progress.revision == 0 {
            request.condition_expression("attribute_exists(pk) AND attribute_not_exists(membersRevision)")
        } else {
            request
                .condition_expression("membersRevision = :revision")
                .expression_attribute_values(":revision", n(progress.revision))
        };
        done(request.send().await)
    }

    /// Puts a roster; it may exist already. One write unit for each KiB, which holds 64 members with both of their
    /// names.
    pub async fn put_roster(
        &self,
        instance: InstanceId,
        roster: &Roster,
        expires: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let mut item = keys::roster(instance, &roster.digest()).attributes();
        item.insert("v".to_owned(), b(roster.to_bytes()));
        item.insert("of".to_owned(), n(roster.len()));
        item.insert("exp".to_owned(), seconds(expires));
        self.put_item(item).await
    }

    /// A roster. Half a read unit for each 4 KiB, and three times that for one that was put a moment ago or does not
    /// exist.
    pub async fn get_roster(
        &self,
        instance: InstanceId,
        digest: &str,
    ) -> Result<Option<Roster>, StorageError> {
        let key = keys::roster(instance, digest);
        let mut found = self.table.get_recent(&key).await?;
        if found.is_none() {
            // That read may miss what was written a moment ago.
            found = self.table.get(&key).await?;
        }
        let read = |item: &Item| {
            let read = Reader::new("roster", item);
            Roster::from_bytes(read.bytes("v")?, read.number("of")?).ok_or_else(|| read.corrupt("v"))
        };
        found.as_ref().map(read).transpose()
    }

    /// Lets [`Self::get_by_whatsapp_id`] find the record of a message that another device of the account
    /// sent. One write unit.
    pub async fn point(
        &self,
        instance: InstanceId,
        whatsapp_id: &str,
        id: MessageId,
        expires: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let mut item = keys::whatsapp_id(instance, whatsapp_id).attributes();
        item.insert("message".to_owned(), text(id));
        item.insert("exp".to_owned(), seconds(expires));
        self.put_item(item).await
    }

    /// The record of a message that another device of the account sent, by its WhatsApp id.
    /// Half a read unit.
    pub async fn get_by_whatsapp_id(
        &self,
        instance: InstanceId,
        whatsapp_id: &str,
    ) -> Result<Option<MessageId>, StorageError> {
        let key = keys::whatsapp_id(instance, whatsapp_id);
        let found = self.table.get_recent(&key).await?;
        let message = |item: &Item| Reader::new("WhatsApp id", item).parse("message");
        found.as_ref().map(message).transpose()
    }

    async fn put_item(&self, item: Item) -> Result<(), StorageError> {
        let put = self.table.client().put_item().table_name(self.table.name());
        put.set_item(Some(item)).send().await.map_err(classify)?;
        Ok(())
    }
}

fn done<T, E, R>(sent: Result<T, aws_sdk_dynamodb::error::SdkError<E, R>>) -> Result<bool, StorageError>
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    held(sent)
}

fn read_progress(item: &Item) -> Result<Progress, StorageError> {
    let read = Reader::new("message", item);
    let reached = |field| Ok(Reached::from_bytes(read.opt_bytes(field)?.unwrap_or_default()));
    Ok(Progress {
        state: read.known("state")?,
        roster: read.opt_str("roster")?.map(str::to_owned),
        delivered: reached("membersDelivered")?,
        read: reached("membersRead")?,
        of: read.opt_number("membersOf")?.unwrap_or(0),
        revision: read.opt_number("membersRevision")?.unwrap_or(0),
    })
}

/// What a record tells of its group's members; `None` where there is no group, or where they
/// are not known yet.
pub(super) fn read_receipts(item: &Item) -> Result<Option<GroupReceipts>, StorageError> {
    if !matches!(item.get("membersOf"), Some(AttributeValue::N(_))) {
        return Ok(None);
    }
    let progress = read_progress(item)?;
    Ok(Some(GroupReceipts {
        delivered: progress.delivered.count(),
        read: progress.read.count(),
        of: progress.of,
    }))
}
