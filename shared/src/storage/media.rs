//! What is known of files, by their ids: those that callers upload, and those of messages that came in. The files
//! themselves are in the bucket, if they are anywhere.
//!
//! What a file is called and how it is fetched rests sealed, as that of the item's key.

use aws_sdk_dynamodb::types::ReturnValue;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StorageError;
use super::item::{Item, Reader, b, n, s, seconds, text};
use super::keys;
use super::outcome::held;
use super::table::Table;
use crate::bucket::{Area, ObjectName};
use crate::ids::{InstanceId, MediaId, MessageId};
use crate::seal::{Purpose, SealError, Sealer};
use crate::sealed::OpenError;

/// How long it is known how a file that came in is fetched: as long as WhatsApp keeps it.
pub const INCOMING_TERM: TimeDelta = TimeDelta::days(30);

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Where it came from, or where it goes.
    pub origin: Origin,
    /// What only the instance's own may read.
    pub sealed: Vec<u8>,
}

/// Where a file came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A caller gave it, to send it.
    Given {
        /// Where it rests, once it is there.
        object: ObjectName,
        /// Its length in bytes, as announced.
        size: u64,
        /// The message that it is sent with, where it is: no other has it.
        taken: Option<Taken>,
        /// Until when this is known, in whole seconds.
        expires: DateTime<Utc>,
    },
    /// It came with a message.
    Came {
        /// Until when it is in the bucket, where somebody has asked for it.
        fetched_until: Option<DateTime<Utc>>,
    },
}

/// That a file is a message's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The message.
    pub message: MessageId,
    /// Where the file rests since.
    pub object: ObjectName,
}

/// What came of taking a file for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taking {
    /// It is the message's, now or already.
    Done,
    /// It is another message's, or not known any more.
    NotIts,
}

/// The table's files.
#[derive(Debug, Clone)]
pub struct MediaTable {
    table: Table,
}

impl MediaTable {
    /// The files of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Adds a file that a caller gives, or writes the same again. `false` where a message has it by now: it stays as it is. One
    /// write unit.
    pub async fn give(
        &self,
        object: &ObjectName,
        id: MediaId,
        size: u64,
        sealed: Vec<u8>,
        expires: DateTime<Utc>,
    ) -> Result<bool, StorageError> {
        let mut item = new(object.instance(), id, sealed, expires);
        item.insert("origin".to_owned(), s(area_text(object.area())));
        item.insert("size".to_owned(), n(size));
        let put = self.table.put(item);
        held(
            put.condition_expression("attribute_not_exists(takenBy)")
                .send()
                .await,
        )
    }

    /// Takes a file that a caller gave for a message, where no other has it but `from`, of which nothing came. What is known of it
    /// is kept until `expires`. One write unit.
    pub async fn take(
        &self,
        instance: InstanceId,
        id: MediaId,
        taken: &Taken,
        from: Option<MessageId>,
        expires: DateTime<Utc>,
    ) -> Result<Taking, StorageError> {
        let update = self.table.update(&keys::media(instance, id));
        let sent = update
            .update_expression("SET takenBy = :message, takenAs = :object, #exp = :exp")
            .condition_expression(
                "origin = :upload AND (attribute_not_exists(takenBy) OR takenBy IN (:message, :from))",
            )
            .expression_attribute_names("#exp", "exp")
            .expression_attribute_values(":message", text(taken.message))
            .expression_attribute_values(":from", text(from.unwrap_or(taken.message)))
            .expression_attribute_values(":object", text(&taken.object))
            .expression_attribute_values(":upload", s(area_text(Area::Upload)))
            .expression_attribute_values(":exp", seconds(expires))
            .send()
            .await;
        Ok(if held(sent)? { Taking::Done } else { Taking::NotIts })
    }

    /// Gives a file back that a message had taken and does not need: another may. `expires` is what it was before. One
    /// write unit.
    pub async fn give_back(
        &self,
        instance: InstanceId,
        id: MediaId,
        message: MessageId,
        expires: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let update = self.table.update(&keys::media(instance, id));
        let sent = update
            .update_expression("SET #exp = :exp REMOVE takenBy, takenAs")
            .condition_expression("takenBy = :message")
            .expression_attribute_names("#exp", "exp")
            .expression_attribute_values(":message", text(message))
            .expression_attribute_values(":exp", seconds(expires))
            .send()
            .await;
        held(sent)?;
        Ok(())
    }

    /// Adds a file that came with a message. One that is there stays as it is. One write unit for each KiB.
    pub async fn came(
        &self,
        instance: InstanceId,
        id: MediaId,
        sealed: Vec<u8>,
        expires: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let mut item = new(instance, id, sealed, expires);
        item.insert("origin".to_owned(), s("came"));
        let put = self.table.put(item);
        let sent = put.condition_expression("attribute_not_exists(pk)").send().await;
        held(sent).map(drop)
    }

    /// A file as it is now. One read unit.
    pub async fn get(
        &self,
        instance: InstanceId,
        id: MediaId,
        now: DateTime<Utc>,
    ) -> Result<Option<Media>, StorageError> {
        let found = self.table.get(&keys::media(instance, id)).await?;
        read(instance, id, found, now)
    }

    /// A file as it was a moment ago, or as it is now where that finds none. Half a read unit, mostly.
    pub async fn get_recent(
        &self,
        instance: InstanceId,
        id: MediaId,
        now: DateTime<Utc>,
    ) -> Result<Option<Media>, StorageError> {
        let found = self.table.get_recent(&keys::media(instance, id)).await?;
        match read(instance, id, found, now)? {
            Some(media) => Ok(Some(media)),
            None => self.get(instance, id, now).await,
        }
    }

    /// Notes that a file which came is in the bucket until then, and what is known of it by now where that is `sealed` anew;
    /// `false` where it is not known any more. One write unit.
    pub async fn note_fetched(
        &self,
        instance: InstanceId,
        id: MediaId,
        until: DateTime<Utc>,
        sealed: Option<Vec<u8>>,
    ) -> Result<bool, StorageError> {
        let update = self.table.update(&keys::media(instance, id));
        let update = match sealed {
            None => update.update_expression("SET fetchedUntil = :until"),
            Some(sealed) => update
                .update_expression("SET fetchedUntil = :until, sealed = :sealed")
                .expression_attribute_values(":sealed", b(sealed)),
        };
        let sent = update
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":until", seconds(until))
            .send()
            .await;
        held(sent)
    }

    /// Forgets a file. Answers whether it was one that came and was fetched: it may be in the bucket. One write unit.
    pub async fn forget(&self, instance: InstanceId, id: MediaId) -> Result<bool, StorageError> {
        let delete = self.table.delete(&keys::media(instance, id));
        let delete = delete.return_values(ReturnValue::AllOld);
        let deleted = delete.send().await.map_err(super::classify)?;
        let was = deleted.attributes.unwrap_or_default();
        Ok(was.contains_key("fetchedUntil"))
    }
}

/// Seals what only the instance's own may read of a file.
pub async fn seal<T: Serialize>(
    sealer: &Sealer,
    instance: InstanceId,
    id: MediaId,
    known: &T,
) -> Result<Vec<u8>, SealError> {
    let plain = serde_json::to_vec(known).expect("what is sealed is plain data");
    let of = keys::media(instance, id).path();
    sealer
        .seal(instance, Purpose::Content, of.as_bytes(), &plain)
        .await
}

/// Opens what [`seal`] made of the same file.
pub async fn open<T: DeserializeOwned>(
    sealer: &Sealer,
    instance: InstanceId,
    id: MediaId,
    rests: &[u8],
) -> Result<T, OpenError> {
    let of = keys::media(instance, id).path();
    let plain = sealer
        .open(instance, Purpose::Content, of.as_bytes(), rests)
        .await?;
    serde_json::from_slice(&plain).map_err(|_| OpenError::Value)
}

fn new(instance: InstanceId, id: MediaId, sealed: Vec<u8>, expires: DateTime<Utc>) -> Item {
    let mut item = keys::media(instance, id).attributes();
    item.insert("sealed".to_owned(), b(sealed));
    item.insert("exp".to_owned(), seconds(expires));
    item
}

/// How an upload's area stands in its item.
fn area_text(area: Area) -> &'static str {
    match area {
        Area::Outgoing | Area::Later => "own",
        Area::Upload | Area::Taken | Area::TakenLater | Area::Incoming | Area::Event => "upload",
    }
}

/// `None` of what has run out and is not removed yet.
fn read(
    instance: InstanceId,
    id: MediaId,
    item: Option<Item>,
    now: DateTime<Utc>,
) -> Result<Option<Media>, StorageError> {
    let Some(item) = item else {
        return Ok(None);
    };
    let read = Reader::new("media", &item);
    let expires = DateTime::from_timestamp(read.number("exp")?, 0).ok_or_else(|| read.corrupt("exp"))?;
    if expires <= now {
        return Ok(None);
    }
    let given = |area| -> Result<Origin, StorageError> {
        Ok(Origin::Given {
            object: ObjectName::new(area, instance, id),
            size: read.number("size")?,
            taken: match read.opt_parse("takenBy")? {
                Some(message) => Some(Taken {
                    message,
                    object: read.parse("takenAs")?,
                }),
                None => None,
            },
            expires,
        })
    };
    let origin = match read.str("origin")? {
        "upload" => given(Area::Upload)?,
        "own" => given(Area::Outgoing)?,
        "came" => {
            let until = read.opt_number("fetchedUntil")?;
            let until = until.and_then(|until| DateTime::from_timestamp(until, 0));
            Origin::Came {
                fetched_until: until.filter(|until| now < *until),
            }
        }
        _ => return Err(read.corrupt("origin")),
    };
    let sealed = read.bytes("sealed")?.to_vec();
    Ok(Some(Media { origin, sealed }))
}
