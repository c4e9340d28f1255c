//! The messages of a chat that came in and were not marked as read: found among the newest records, from the mark on that the
//! last reading left.

use chrono::{DateTime, Utc};

use super::{Messages, from_item};
use crate::domain::message::{Direction, MessageRecord, RECORD_TERM};
use crate::domain::recipient::Recipient;
use crate::ids::{InstanceId, MessageId};
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Reader, s, seconds, text};
use crate::storage::keys;
use crate::storage::outcome::held;

/// Most messages that are marked at once: as many as WhatsApp's own clients put into a receipt.
pub const MOST_UNREAD: usize = 256;

/// How many records of the instance are looked at, its other chats' among them.
pub const LOOKED_AT: usize = 500;

/// How many records are asked for at a time.
const AT_A_TIME: usize = 250;

impl Messages {
    /// The messages of a chat that came in after `after` and not after `up_to`, newest first: [`MOST_UNREAD`] at most, among
    /// the newest [`LOOKED_AT`] records. A read unit for each 4 KiB of these.
    pub async fn unread(
        &self,
        instance: InstanceId,
        chat: &Recipient,
        after: Option<MessageId>,
        up_to: Option<MessageId>,
    ) -> Result<Vec<MessageRecord>, StorageError> {
        if after.zip(up_to).is_some_and(|(after, up_to)| after >= up_to) {
            return Ok(Vec::new());
        }
        let from = after.map_or_else(|| MessageId::PREFIX.to_owned(), |id| id.to_string());
        // Every id sorts before this.
        let to = up_to.map_or_else(|| format!("{}~", MessageId::PREFIX), |id| id.to_string());
        let (mut start, mut looked_at) = (None, 0);
        let mut unread = Vec::new();
        while looked_at < LOOKED_AT && unread.len() < MOST_UNREAD {
            let page = self
                .table
                .client()
                .query()
                .table_name(self.table.name())
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :to")
                .filter_expression("chat = :chat AND direction = :incoming AND attribute_exists(whatsappId)")
                .expression_attribute_values(":pk", s(keys::message_partition(instance)))
                .expression_attribute_values(":from", s(&from))
                .expression_attribute_values(":to", s(&to))
                .expression_attribute_values(":chat", s(chat.to_jid()))
                .expression_attribute_values(":incoming", text(Direction::Incoming))
                .scan_index_forward(false)
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .limit(i32::try_from(AT_A_TIME.min(LOOKED_AT - looked_at)).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(classify)?;
            looked_at += usize::try_from(page.scanned_count).unwrap_or(AT_A_TIME).max(1);
            for item in page.items() {
                match from_item(item) {
                    Ok(record) => unread.push(record),
                    Err(error) => tracing::error!(instance.id = %instance, %error, "left out of a chat"),
                }
            }
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                break;
            }
        }
        unread.retain(|record| Some(record.id) != after);
        unread.truncate(MOST_UNREAD);
        Ok(unread)
    }

    /// Up to which message a chat was marked as read. Half a read unit.
    pub async fn read_mark(
        &self,
        instance: InstanceId,
        chat: &Recipient,
    ) -> Result<Option<MessageId>, StorageError> {
        let found = self.table.get_recent(&keys::read_mark(instance, chat)).await?;
        let mark = found
            .as_ref()
            .map(|item| Reader::new("read mark", item).parse("upTo"));
        mark.transpose()
    }

    /// Notes that a chat was marked as read up to this message. A mark never goes back. One write unit.
    pub async fn mark_read(
        &self,
        instance: InstanceId,
        chat: &Recipient,
        up_to: MessageId,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let mut item = keys::read_mark(instance, chat).attributes();
        item.insert("upTo".to_owned(), text(up_to));
        item.insert("exp".to_owned(), seconds(now + RECORD_TERM));
        let sent = self
            .table
            .put(item)
            .condition_expression("attribute_not_exists(pk) OR upTo < :upTo")
            .expression_attribute_values(":upTo", text(up_to))
            .send()
            .await;
        held(sent).map(|_| ())
    }
}
