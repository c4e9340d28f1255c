//! What the account's owner answers to a request for a passkey. It waits on the instance's item for the daemon, which takes it
//! away with the next status that it writes.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;

use super::Instances;
use super::stored::{ANSWER, ANSWER_MARK};
use crate::domain::instance::Wanted;
use crate::domain::passkey::PasskeyAnswer;
use crate::ids::InstanceId;
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{b, s, text};
use crate::storage::keys;
use crate::storage::outcome::condition_failed;

/// What came of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasskeyAnswered {
    /// It waits for the daemon.
    Stored,
    /// What it answers is over.
    Over,
    /// The instance is gone.
    Gone,
}

impl Instances {
    /// Stores an answer to what waits now, in the place of an earlier one that the daemon has not taken yet.
    pub async fn answer_passkey(
        &self,
        id: InstanceId,
        answer: &PasskeyAnswer,
    ) -> Result<PasskeyAnswered, StorageError> {
        let expression = match &answer.sealed {
            Some(_) => format!("SET {ANSWER_MARK} = :mark, {ANSWER} = :sealed"),
            None => format!("SET {ANSWER_MARK} = :mark REMOVE {ANSWER}"),
        };
        let mut request = self
            .table
            .update(&keys::instance(id))
            .update_expression(expression)
            .condition_expression("attribute_exists(id) AND wanted = :connected AND passkeyMark = :mark")
            .expression_attribute_values(":mark", s(&answer.mark))
            .expression_attribute_values(":connected", text(Wanted::Connected))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        if let Some(sealed) = &answer.sealed {
            request = request.expression_attribute_values(":sealed", b(sealed.clone()));
        }
        let error = match request.send().await {
            Ok(_) => return Ok(PasskeyAnswered::Stored),
            Err(error) if condition_failed(&error) => error,
            Err(error) => return Err(classify(error)),
        };
        let item = match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item.as_ref(),
            _ => None,
        };
        let is_there = item.is_some_and(|item| {
            item.contains_key("id") && item.get("wanted") != Some(&text(Wanted::Deleted))
        });
        Ok(if is_there {
            PasskeyAnswered::Over
        } else {
            PasskeyAnswered::Gone
        })
    }
}
