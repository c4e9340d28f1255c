//! What is wanted of an instance's connection.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, Utc};

use super::Instances;
use super::stored::desired;
use crate::domain::instance::{Desired, PairingRequest, Wanted};
use crate::ids::InstanceId;
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Item, Reader, n, text, time};
use crate::storage::keys;
use crate::storage::outcome::condition_failed;

/// What a request by code or a logout leaves on the item: every later request takes it away.
const NO_PAIRING: &str = "REMOVE pairingPhone, pairingAskedAt, unlinkAskedAt";

/// What came of asking that an instance be paired by a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PairingWanted {
    /// It is stored.
    Asked(Desired),
    /// The instance is paired already.
    Paired,
    /// The instance is gone.
    Gone,
}

impl Instances {
    /// Asks for `wanted`: what is wanted is stored under the next generation, and answered;
    /// `None` where the instance is gone. A logout is asked for by [`Self::want_logout`].
    pub async fn want(&self, id: InstanceId, wanted: Wanted) -> Result<Option<Desired>, StorageError> {
        let update = format!("SET wanted = :wanted, generation = generation + :one {NO_PAIRING}");
        self.ask(id, wanted, update).await
    }

    /// Asks that the instance be unlinked from its phone, as of `now`.
    pub async fn want_logout(
        &self,
        id: InstanceId,
        now: DateTime<Utc>,
    ) -> Result<Option<Desired>, StorageError> {
        let request = self
            .asking(id, Wanted::LoggedOut)
            .update_expression(
                "SET wanted = :wanted, generation = generation + :one, unlinkAskedAt = :now \
                 REMOVE pairingPhone, pairingAskedAt",
            )
            .expression_attribute_values(":now", time(now));
        Self::asked(request).await
    }

    /// Asks for a connection that is begun anew, whatever there is now.
    pub async fn want_restart(&self, id: InstanceId) -> Result<Option<Desired>, StorageError> {
        let update = format!(
            "SET wanted = :wanted, restart = generation + :one, generation = generation + :one {NO_PAIRING}"
        );
        self.ask(id, Wanted::Connected, update).await
    }

    /// Asks that an instance which is not paired be connected anew and paired by a code.
    pub async fn want_pairing(
        &self,
        id: InstanceId,
        pairing: &PairingRequest,
    ) -> Result<PairingWanted, StorageError> {
        let sent = self
            .asking(id, Wanted::Connected)
            .update_expression(
                "SET wanted = :wanted, restart = generation + :one, generation = generation + :one, \
                 pairingPhone = :phone, pairingAskedAt = :at REMOVE unlinkAskedAt",
            )
            .condition_expression("attribute_exists(pk) AND wanted <> :deleted AND paired = :no")
            .expression_attribute_values(":phone", text(&pairing.phone))
            .expression_attribute_values(":at", time(pairing.asked_at))
            .expression_attribute_values(":no", AttributeValue::Bool(false))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(updated) => {
                let item = updated.attributes.unwrap_or_default();
                return desired(&Reader::new("instance", &item)).map(PairingWanted::Asked);
            }
            Err(error) if condition_failed(&error) => error,
            Err(error) => return Err(classify(error)),
        };
        let found: Option<&Item> = match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item.as_ref(),
            _ => None,
        };
        let is_there = found.and_then(|item| item.get("wanted")) != Some(&text(Wanted::Deleted));
        Ok(match found.filter(|item| is_there && !item.is_empty()) {
            Some(_) => PairingWanted::Paired,
            None => PairingWanted::Gone,
        })
    }

    async fn ask(
        &self,
        id: InstanceId,
        wanted: Wanted,
        update: String,
    ) -> Result<Option<Desired>, StorageError> {
        Self::asked(self.asking(id, wanted).update_expression(update)).await
    }

    async fn asked(request: UpdateItemFluentBuilder) -> Result<Option<Desired>, StorageError> {
        let request = request.condition_expression("attribute_exists(pk) AND wanted <> :deleted");
        match request.send().await {
            Ok(updated) => {
                let item = updated.attributes.unwrap_or_default();
                desired(&Reader::new("instance", &item)).map(Some)
            }
            Err(error) if condition_failed(&error) => Ok(None),
            Err(error) => Err(classify(error)),
        }
    }

    fn asking(&self, id: InstanceId, wanted: Wanted) -> UpdateItemFluentBuilder {
        self.table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::instance(id).attributes()))
            .expression_attribute_values(":deleted", text(Wanted::Deleted))
            .expression_attribute_values(":wanted", text(wanted))
            .expression_attribute_values(":one", n(1))
            .return_values(ReturnValue::AllNew)
    }
}
