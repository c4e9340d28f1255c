//! What is wanted of an instance's connection.

use aws_sdk_dynamodb::types::ReturnValue;

use super::Instances;
use crate::domain::instance::{Desired, Wanted};
use crate::ids::InstanceId;
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Reader, n, text};
use crate::storage::keys;
use crate::storage::outcome::condition_failed;

impl Instances {
    /// Asks for `wanted`: what is wanted is stored under the next generation, and answered;
    /// `None` where the instance is gone.
    pub async fn want(&self, id: InstanceId, wanted: Wanted) -> Result<Option<Desired>, StorageError> {
        self.ask(id, wanted, "SET wanted = :wanted, generation = generation + :one")
            .await
    }

    /// Asks for a connection that is begun anew, whatever there is now.
    pub async fn want_restart(&self, id: InstanceId) -> Result<Option<Desired>, StorageError> {
        let update = "SET wanted = :wanted, restart = generation + :one, generation = generation + :one";
        self.ask(id, Wanted::Connected, update).await
    }

    async fn ask(
        &self,
        id: InstanceId,
        wanted: Wanted,
        update: &str,
    ) -> Result<Option<Desired>, StorageError> {
        let request = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::instance(id).attributes()))
            .update_expression(update)
            .condition_expression("attribute_exists(pk) AND wanted <> :deleted")
            .expression_attribute_values(":deleted", text(Wanted::Deleted))
            .expression_attribute_values(":wanted", text(wanted))
            .expression_attribute_values(":one", n(1))
            .return_values(ReturnValue::AllNew);
        match request.send().await {
            Ok(updated) => {
                let item = updated.attributes.unwrap_or_default();
                let read = Reader::new("instance", &item);
                Ok(Some(Desired {
                    wanted: read.parse("wanted")?,
                    generation: read.number("generation")?,
                    restart: read.opt_number("restart")?.unwrap_or(0),
                }))
            }
            Err(error) if condition_failed(&error) => Ok(None),
            Err(error) => Err(classify(error)),
        }
    }
}
