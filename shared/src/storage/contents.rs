//! The contents of messages, for instances that keep them: each in an item of its own, sealed as that of the item's key. It
//! expires so many days after its message was sent or came as the instance said then, and is not read any longer, whenever the
//! table removes it.

use chrono::{DateTime, TimeDelta, Utc};

use super::error::StorageError;
use super::item::{Item, Reader, b, seconds};
use super::keys;
use super::outcome::held;
use super::table::Table;
use crate::domain::content::Said;
use crate::ids::{InstanceId, MessageId};
use crate::seal::{Purpose, SealError, Sealer};
use crate::sealed::OpenError;

/// The content of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    /// When the message was sent or came, in whole seconds.
    pub at: DateTime<Utc>,
    /// What it said, sealed by [`seal`].
    pub sealed: Vec<u8>,
}

/// Sealed as it is, it stays out of logs.
impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// The table's contents of messages.
#[derive(Debug, Clone)]
pub struct Contents {
    table: Table,
}

impl Contents {
    /// The contents of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Keeps a message's content for so many days. What is there already stays as it is: the message has come again, and may have
    /// been edited meanwhile. One write unit for each KiB.
    pub async fn keep(
        &self,
        instance: InstanceId,
        id: MessageId,
        kept: &Kept,
        days: u8,
    ) -> Result<(), StorageError> {
        let item = item(instance, id, kept, kept.at + TimeDelta::days(days.into()));
        let put = self.table.put(item);
        let sent = put.condition_expression("attribute_not_exists(pk)").send().await;
        held(sent).map(drop)
    }

    /// Puts another content in the place of what is kept of a message, for as long as that was to be kept. Nothing is done where
    /// none is kept. One write unit for each KiB.
    pub async fn change(
        &self,
        instance: InstanceId,
        id: MessageId,
        sealed: Vec<u8>,
    ) -> Result<(), StorageError> {
        let update = self.table.update(&keys::kept(instance, id));
        let sent = update
            .update_expression("SET sealed = :sealed")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":sealed", b(sealed))
            .send()
            .await;
        held(sent).map(drop)
    }

    /// The content of a message as it is now; `None` where none is kept, or its time is over. One read unit for each 4 KiB.
    pub async fn get(
        &self,
        instance: InstanceId,
        id: MessageId,
        now: DateTime<Utc>,
    ) -> Result<Option<Kept>, StorageError> {
        read(self.table.get(&keys::kept(instance, id)).await?, now)
    }

    /// The same as it was a moment ago, or as it is now where that finds none: whoever hears of a message may forward it at once.
    /// Half a read unit for each 4 KiB, mostly.
    pub async fn get_recent(
        &self,
        instance: InstanceId,
        id: MessageId,
        now: DateTime<Utc>,
    ) -> Result<Option<Kept>, StorageError> {
        let found = self.table.get_recent(&keys::kept(instance, id)).await?;
        match read(found, now)? {
            Some(kept) => Ok(Some(kept)),
            None => self.get(instance, id, now).await,
        }
    }

    /// Forgets a message's content: the message was taken back. One write unit.
    pub async fn forget(&self, instance: InstanceId, id: MessageId) -> Result<(), StorageError> {
        let delete = self.table.delete(&keys::kept(instance, id));
        delete.send().await.map_err(super::classify)?;
        Ok(())
    }
}

/// `None` of what has run out and is not removed yet.
fn read(item: Option<Item>, now: DateTime<Utc>) -> Result<Option<Kept>, StorageError> {
    let Some(item) = item else {
        return Ok(None);
    };
    let read = Reader::new("content", &item);
    if read.number::<i64>("exp")? <= now.timestamp() {
        return Ok(None);
    }
    let at = DateTime::from_timestamp(read.number("at")?, 0);
    Ok(Some(Kept {
        at: at.ok_or_else(|| read.corrupt("at"))?,
        sealed: read.bytes("sealed")?.to_vec(),
    }))
}

fn item(instance: InstanceId, id: MessageId, kept: &Kept, expires: DateTime<Utc>) -> Item {
    let mut item = keys::kept(instance, id).attributes();
    item.insert("at".to_owned(), seconds(kept.at));
    item.insert("sealed".to_owned(), b(kept.sealed.clone()));
    item.insert("exp".to_owned(), seconds(expires));
    item
}

/// Seals what a message says as what is kept of it.
pub async fn seal(
    sealer: &Sealer,
    instance: InstanceId,
    id: MessageId,
    said: &Said,
) -> Result<Vec<u8>, SealError> {
    let plain = serde_json::to_vec(said).expect("what is sealed is plain data");
    let of = keys::kept(instance, id).path();
    sealer
        .seal(instance, Purpose::Content, of.as_bytes(), &plain)
        .await
}

/// Opens what [`seal`] made of the same message.
pub async fn open(
    sealer: &Sealer,
    instance: InstanceId,
    id: MessageId,
    rests: &[u8],
) -> Result<Said, OpenError> {
    let of = keys::kept(instance, id).path();
    let plain = sealer
        .open(instance, Purpose::Content, of.as_bytes(), rests)
        .await?;
    serde_json::from_slice(&plain).map_err(|_| OpenError::Value)
}
