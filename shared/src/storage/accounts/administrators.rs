//! The set of active administrators. Every change that makes or unmakes one writes it in the same transaction, so the
//! last one cannot go, however many go at once.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem, Update};

use super::Accounts;
use crate::domain::account::User;
use crate::ids::UserId;
use crate::storage::error::StorageError;
use crate::storage::item::{n, text};
use crate::storage::keys;

/// The condition that fails only for the last administrator.
const ANOTHER_IS_LEFT: &str = "NOT contains(#users, :id) OR size(#users) > :one";

impl Accounts {
    /// The write of the set that belongs to a user's change from `before` to `after`; either may be nobody. `None`
    /// where the set stays as it is. The write's condition fails only for the last administrator.
    pub(super) fn administrators(
        &self,
        before: Option<&User>,
        after: Option<&User>,
    ) -> Result<Option<TransactWriteItem>, StorageError> {
        let is = |user: Option<&User>| user.is_some_and(User::is_active_administrator);
        let Some(id) = before.or(after).map(|user| user.id) else {
            return Ok(None);
        };
        let request = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::administrators().attributes()))
            .expression_attribute_names("#users", "users")
            .expression_attribute_values(":user", AttributeValue::Ss(vec![id.to_string()]));
        let request = match (is(before), is(after)) {
            (false, true) => request.update_expression("ADD #users :user"),
            (true, false) => request
                .update_expression("DELETE #users :user")
                .condition_expression(ANOTHER_IS_LEFT)
                .expression_attribute_values(":id", text(id))
                .expression_attribute_values(":one", n(1)),
            (true, true) | (false, false) => return Ok(None),
        };
        let update = request
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(Some(TransactWriteItem::builder().update(update).build()))
    }

    /// The check that there is an active administrator besides this user.
    pub(super) fn another_administrator(&self, id: UserId) -> Result<TransactWriteItem, StorageError> {
        let check = ConditionCheck::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::administrators().attributes()))
            .condition_expression(ANOTHER_IS_LEFT)
            .expression_attribute_names("#users", "users")
            .expression_attribute_values(":id", text(id))
            .expression_attribute_values(":one", n(1))
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}
