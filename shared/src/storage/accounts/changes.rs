//! What changes of a user: password, verified address, name.

use chrono::{DateTime, Utc};

use super::{Accounts, Changed, changed};
use crate::auth::password::PasswordHash;
use crate::domain::account::{PersonName, User};
use crate::ids::{SubscriptionId, UserId};
use crate::storage::error::StorageError;
use crate::storage::item::{n, s, time};
use crate::storage::keys;

impl Accounts {
    /// Sets a user's password where its credentials are still of version `seen`, and raises
    /// the version: every session and code of before is over. Where `verified_at` is given, the
    /// e-mail address is verified too, since the code came to it.
    pub async fn set_password(
        &self,
        user: &User,
        password: &PasswordHash,
        verified_at: Option<DateTime<Utc>>,
    ) -> Result<Changed, StorageError> {
        let mut update = String::from("SET password = :password, credentials = :next");
        let mut request = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::user(user.subscription, user.id).attributes()))
            // The second: the SDK's next attempt, where the answer to the first was lost. A hash is of one request alone.
            .condition_expression("credentials = :seen OR password = :password")
            .expression_attribute_values(":password", s(password.as_str()))
            .expression_attribute_values(":seen", n(user.credentials))
            .expression_attribute_values(":next", n(user.credentials + 1));
        if let Some(at) = verified_at {
            update.push_str(", emailVerifiedAt = if_not_exists(emailVerifiedAt, :verified)");
            request = request.expression_attribute_values(":verified", time(at));
        }
        changed(request.update_expression(update).send().await)
    }

    /// Notes that a user's e-mail address is its own. The first time counts.
    pub async fn set_email_verified(
        &self,
        subscription: SubscriptionId,
        id: UserId,
        at: DateTime<Utc>,
    ) -> Result<Changed, StorageError> {
        let request = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::user(subscription, id).attributes()))
            .update_expression("SET emailVerifiedAt = if_not_exists(emailVerifiedAt, :at)")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_values(":at", time(at));
        changed(request.send().await)
    }

    /// Gives a user another name.
    pub async fn set_name(
        &self,
        subscription: SubscriptionId,
        id: UserId,
        name: &PersonName,
    ) -> Result<Changed, StorageError> {
        let request = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::user(subscription, id).attributes()))
            .update_expression("SET #name = :name")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":name", s(name.as_str()));
        changed(request.send().await)
    }
}
