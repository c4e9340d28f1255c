//! What an instance's owner may change of it: its name, its metadata, and how fast it sends.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};

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

impl Instances {
    /// Changes name, metadata and pace of an instance as it was read. One transaction: of two requests for one name one
    /// gets it, and the old name is free at once.
    pub async fn update(
        &self,
        instance: &Instance,
        name: &InstanceName,
        metadata: &BTreeMap<String, String>,
        messages_per_minute: Option<u16>,
    ) -> Result<Updated, StorageError> {
        let refused = |error: BuildError| StorageError::Refused(error.into());
        let set = "SET #name = :name, #metadata = :metadata";
        let paced = match messages_per_minute {
            Some(_) => format!("{set}, messagesPerMinute = :pace"),
            None => format!("{set} REMOVE messagesPerMinute"),
        };
        let was_paced = match instance.messages_per_minute {
            Some(_) => "messagesPerMinute = :paced",
            None => "attribute_not_exists(messagesPerMinute)",
        };
        let mut update = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::instance(instance.id).attributes()))
            .update_expression(paced)
            .condition_expression(format!(
                "subscription = :subscription AND #name = :old AND #metadata = :before AND wanted <> :deleted \
                 AND {was_paced}"
            ));
        for (name, pace) in [
            (":pace", messages_per_minute),
            (":paced", instance.messages_per_minute),
        ] {
            if let Some(pace) = pace {
                update = update.expression_attribute_values(name, n(pace));
            }
        }
        let update = update
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
