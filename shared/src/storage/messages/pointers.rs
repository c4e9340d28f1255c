//! What leads from WhatsApp's id of a message that came in to ours: whoever reacts to it, edits it or takes it back names it
//! by WhatsApp's.

use chrono::{DateTime, Utc};

use super::Messages;
use crate::domain::message::Kind;
use crate::domain::person::Person;
use crate::domain::recipient::Recipient;
use crate::ids::{InstanceId, MessageId};
use crate::storage::error::StorageError;
use crate::storage::item::{Reader, s, seconds, text};
use crate::storage::keys;
use crate::storage::outcome::held;

/// A message that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointed {
    /// Our id of it.
    pub message: MessageId,
    /// What it is.
    pub kind: Kind,
    /// Who wrote it.
    pub author: Person,
}

impl Messages {
    /// Lets [`Self::get_received`] find a message that came in, by its canonical chat and WhatsApp's id. The first of an id
    /// stays: nobody takes another's place by repeating an id. One write unit.
    pub async fn point_to_received(
        &self,
        instance: InstanceId,
        chat: &Recipient,
        whatsapp_id: &str,
        pointed: &Pointed,
        expires: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        let mut item = keys::received(instance, chat, whatsapp_id).attributes();
        item.insert("message".to_owned(), text(pointed.message));
        item.insert("kind".to_owned(), text(pointed.kind));
        item.insert("exp".to_owned(), seconds(expires));
        for (name, value) in [("phone", &pointed.author.phone), ("lid", &pointed.author.lid)] {
            if let Some(value) = value {
                item.insert(name.to_owned(), s(value));
            }
        }
        let put = self
            .table
            .put(item)
            .condition_expression("attribute_not_exists(pk)");
        held(put.send().await)?;
        Ok(())
    }

    /// A message that came in, by its canonical chat and WhatsApp's id. Half a read unit, and three times that for one that
    /// came a moment ago or never.
    pub async fn get_received(
        &self,
        instance: InstanceId,
        chat: &Recipient,
        whatsapp_id: &str,
    ) -> Result<Option<Pointed>, StorageError> {
        let key = keys::received(instance, chat, whatsapp_id);
        let mut found = self.table.get_recent(&key).await?;
        if found.is_none() {
            // That read may miss what was written a moment ago, and people react at once.
            found = self.table.get(&key).await?;
        }
        let Some(item) = found else {
            return Ok(None);
        };
        let read = Reader::new("WhatsApp id", &item);
        Ok(Some(Pointed {
            message: read.parse("message")?,
            kind: read.known("kind")?,
            author: Person {
                phone: read.opt_str("phone")?.map(str::to_owned),
                lid: read.opt_str("lid")?.map(str::to_owned),
            },
        }))
    }
}
