//! What is wanted of an instance's connection.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemOutput};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, Utc};

use super::Instances;
use super::stored::desired;
use crate::domain::instance::{Desired, PairingRequest, Wanted};
use crate::ids::InstanceId;
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Item, Reader, n, s, text, time};
use crate::storage::keys;
use crate::storage::outcome::condition_failed;

/// Takes away what a request to pair by code, an answer to a request for a passkey or a logout has left on the item, as every
/// later request does.
const NO_PAIRING: &str =
    "REMOVE pairingPhone, pairingAskedAt, passkeyAnswerMark, passkeyAnswer, unlinkAskedAt";

/// The same without an answer to a request for a passkey, which may be on its way to the daemon. An answer to another request is
/// told by its mark.
const NO_CODE: &str = "REMOVE pairingPhone, pairingAskedAt, unlinkAskedAt";

/// The condition that this request was not stored yet. The SDK sends an update again whose answer was lost; the
/// second attempt finds its own mark and changes nothing.
const NOT_ASKED_YET: &str =
    "attribute_exists(pk) AND wanted <> :deleted AND (attribute_not_exists(askedAs) OR askedAs <> :ask)";

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
    /// Stores `wanted` under the next generation, and answers what is wanted now; `None` where the instance is gone.
    /// For a logout there is [`Self::want_logout`].
    pub async fn want(&self, id: InstanceId, wanted: Wanted) -> Result<Option<Desired>, StorageError> {
        // Who asks for a connection that is being made goes on with it.
        let removed = if wanted == Wanted::Connected {
            NO_CODE
        } else {
            NO_PAIRING
        };
        let update =
            format!("SET wanted = :wanted, generation = generation + :one, askedAs = :ask {removed}");
        self.asking(id, wanted).updating(update).send().await
    }

    /// Asks that the instance be unlinked from its phone, as of `now`.
    pub async fn want_logout(
        &self,
        id: InstanceId,
        now: DateTime<Utc>,
    ) -> Result<Option<Desired>, StorageError> {
        let mut ask = self.asking(id, Wanted::LoggedOut).updating(
            "SET wanted = :wanted, generation = generation + :one, askedAs = :ask, unlinkAskedAt = :now \
             REMOVE pairingPhone, pairingAskedAt",
        );
        ask.request = ask.request.expression_attribute_values(":now", time(now));
        ask.send().await
    }

    /// Asks for a new connection, whatever there is now.
    pub async fn want_restart(&self, id: InstanceId) -> Result<Option<Desired>, StorageError> {
        let update = format!(
            "SET wanted = :wanted, restart = generation + :one, generation = generation + :one, askedAs = :ask {NO_PAIRING}"
        );
        self.asking(id, Wanted::Connected).updating(update).send().await
    }

    /// Asks that an instance which is not paired be connected anew and paired by a code.
    pub async fn want_pairing(
        &self,
        id: InstanceId,
        pairing: &PairingRequest,
    ) -> Result<PairingWanted, StorageError> {
        let mut ask = self.asking(id, Wanted::Connected).updating(
            "SET wanted = :wanted, restart = generation + :one, generation = generation + :one, askedAs = :ask, \
             pairingPhone = :phone, pairingAskedAt = :at REMOVE unlinkAskedAt",
        );
        ask.request = ask
            .request
            .condition_expression(format!("{NOT_ASKED_YET} AND paired = :no"))
            .expression_attribute_values(":phone", text(&pairing.phone))
            .expression_attribute_values(":at", time(pairing.asked_at))
            .expression_attribute_values(":no", AttributeValue::Bool(false));
        Ok(match ask.sent().await? {
            Sent::Done(item) => PairingWanted::Asked(desired(&Reader::new("instance", &item))?),
            Sent::Refused(item) if item.is_empty() || item.get("wanted") == Some(&text(Wanted::Deleted)) => {
                PairingWanted::Gone
            }
            Sent::Refused(_) => PairingWanted::Paired,
        })
    }

    fn asking(&self, id: InstanceId, wanted: Wanted) -> Ask {
        let mark = s(format!("{:032x}", rand::random::<u128>()));
        let request = self
            .table
            .update(&keys::instance(id))
            .condition_expression(NOT_ASKED_YET)
            .expression_attribute_values(":deleted", text(Wanted::Deleted))
            .expression_attribute_values(":wanted", text(wanted))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":ask", mark.clone())
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        Ask { request, mark }
    }
}

/// A request for the next generation, under a mark of its own.
struct Ask {
    request: UpdateItemFluentBuilder,
    mark: AttributeValue,
}

/// What came of it.
enum Sent {
    /// It is stored: the item.
    Done(Item),
    /// A condition did not hold: the item, empty where there is none.
    Refused(Item),
}

impl Ask {
    fn updating(mut self, update: impl Into<String>) -> Self {
        self.request = self.request.update_expression(update);
        self
    }

    async fn send(self) -> Result<Option<Desired>, StorageError> {
        match self.sent().await? {
            Sent::Done(item) => desired(&Reader::new("instance", &item)).map(Some),
            Sent::Refused(_) => Ok(None),
        }
    }

    async fn sent(self) -> Result<Sent, StorageError> {
        let error: SdkError<UpdateItemError> = match self.request.send().await {
            Ok(UpdateItemOutput { attributes, .. }) => return Ok(Sent::Done(attributes.unwrap_or_default())),
            Err(error) if condition_failed(&error) => error,
            Err(error) => return Err(classify(error)),
        };
        let item = match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item.clone(),
            _ => None,
        };
        let item = item.unwrap_or_default();
        Ok(if item.get("askedAs") == Some(&self.mark) {
            Sent::Done(item)
        } else {
            Sent::Refused(item)
        })
    }
}
