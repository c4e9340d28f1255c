//! What an instance's owner may change of it: its name and metadata.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};

use super::Instances;
use crate::domain::instance::{Instance, InstanceName, Wanted};
use crate::storage::error::StorageError;
use crate::storage::item::{strings, text};
use crate::storage::keys;
use crate::storage::outcome::Transacted;

/// What came of changing an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Updated {
    /// It is changed.
    Done,
    /// Another instance of the subscription has the name.
    NameTaken,
    /// It is gone, or was given another name or other metadata since it was read.
    Stale,
}

impl Instances {
    /// Changes name and metadata of an instance as it was read. One transaction: of two requests for one name one
    /// gets it, and the old name is free at once.
    pub async fn update(
        &self,
        instance: &Instance,
        name: &InstanceName,
        metadata: &BTreeMap<String, String>,
    ) -> Result<Updated, StorageError> {
        let refused = |error: BuildError| StorageError::Refused(error.into());
        let update = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::instance(instance.id).attributes()))
            .update_expression("SET #name = :name, #metadata = :metadata")
            .condition_expression(
                "subscription = :subscription AND #name = :old AND #metadata = :before AND wanted <> :deleted",
            )
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
