//! What an instance's owner may change of it: its name, its metadata, how fast it sends, for how long it keeps contents, and
//! whether the realtime feed has them.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};

use super::Instances;
use crate::domain::instance::{Instance, InstanceName, Wanted};
use crate::storage::error::StorageError;
use crate::storage::item::{n, strings, text};
use crate::storage::keys;
use crate::storage::outcome::Transacted;

/// What came of changing an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updated {
    /// It is changed.
    Done,
    /// Another instance of the subscription has the name.
    NameTaken,
    /// It is gone, or was changed in one of these since it was read.
    Stale,
}

/// What an instance's owner may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name.
    pub name: InstanceName,
    /// The owner's own strings.
    pub metadata: BTreeMap<String, String>,
    /// How many messages it sends in a minute at most.
    pub messages_per_minute: Option<u16>,
    /// For how many days the content of its messages is kept.
    pub content_days: u8,
    /// Whether the realtime feed says what its messages say.
    pub content_in_realtime: bool,
}

impl Instances {
    /// Changes what its owner may change of an instance as it was read. One transaction: of two requests for one name one
    /// gets it, and the old name is free at once.
    pub async fn update(&self, instance: &Instance, to: &Settings) -> Result<Updated, StorageError> {
        let Settings {
            name,
            metadata,
            messages_per_minute,
            content_days,
            content_in_realtime,
        } = to;
        let refused = |error: BuildError| StorageError::Refused(error.into());
        let mut expression =
            "SET #name = :name, #metadata = :metadata, contentDays = :days, contentInRealtime = :feed"
                .to_owned();
        expression.push_str(match messages_per_minute {
            Some(_) => ", messagesPerMinute = :pace",
            None => " REMOVE messagesPerMinute",
        });
        let was_paced = match instance.messages_per_minute {
            Some(_) => "messagesPerMinute = :paced",
            None => "attribute_not_exists(messagesPerMinute)",
        };
        let was_kept = match instance.content_days {
            0 => "(attribute_not_exists(contentDays) OR contentDays = :kept)",
            _ => "contentDays = :kept",
        };
        let was_fed = if instance.content_in_realtime {
            "contentInRealtime = :fed"
        } else {
            "(attribute_not_exists(contentInRealtime) OR contentInRealtime = :fed)"
        };
        let mut update = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::instance(instance.id).attributes()))
            .update_expression(expression)
            .condition_expression(format!(
                "subscription = :subscription AND #name = :old AND #metadata = :before AND wanted <> :deleted \
                 AND {was_paced} AND {was_kept} AND {was_fed}"
            ));
        for (name, pace) in [
            (":pace", *messages_per_minute),
            (":paced", instance.messages_per_minute),
        ] {
            if let Some(pace) = pace {
                update = update.expression_attribute_values(name, n(pace));
            }
        }
        let update = update
            .expression_attribute_values(":days", n(content_days))
            .expression_attribute_values(":kept", n(instance.content_days))
            .expression_attribute_values(":feed", AttributeValue::Bool(*content_in_realtime))
            .expression_attribute_values(":fed", AttributeValue::Bool(instance.content_in_realtime))
            .expression_attribute_names("#name", "name")
            .expression_attribute_names("#metadata", "metadata")
            .expression_attribute_values(":name", text(name))
            .expression_attribute_values(":metadata", strings(metadata))
            .expression_attribute_values(":before", strings(&instance.metadata))
            .expression_attribute_values(":subscription", text(instance.subscription))
            .expression_attribute_values(":deleted", text(Wanted::Deleted))
            .expression_attribute_values(":old", text(&instance.name))
            .build()
            .map_err(refused)?;
        let mut writes = vec![TransactWriteItem::builder().update(update).build()];
        if *name != instance.name {
            let mut item = keys::instance_name(instance.subscription, name).attributes();
            item.insert("instance".into(), text(instance.id));
            let put = Put::builder()
                .table_name(self.table.name())
                .set_item(Some(item))
                .condition_expression("attribute_not_exists(pk)")
                .build()
                .map_err(refused)?;
            let old = keys::instance_name(instance.subscription, &instance.name);
            let delete = Delete::builder()
                .table_name(self.table.name())
                .set_key(Some(old.attributes()))
                .build()
                .map_err(refused)?;
            writes.push(TransactWriteItem::builder().put(put).build());
            writes.push(TransactWriteItem::builder().delete(delete).build());
        }
        Ok(match self.table.transact(writes).await? {
            Transacted::Done => Updated::Done,
            Transacted::Refused(failed) if failed.first() == Some(&true) => Updated::Stale,
            Transacted::Refused(_) => Updated::NameTaken,
        })
    }
}
