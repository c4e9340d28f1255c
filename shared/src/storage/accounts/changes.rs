//! What changes of a user: password, verified address, name.
//!
//! A new password that verifies the address for the first time takes the account over from whoever registered it, who
//! may be a stranger. That takes steps, each of which may be broken off. First the old password goes, with all
//! sessions; then what the stranger made; the new password and the verified address come last. Until then the address
//! counts as unverified and nobody can log in, and another code begins anew.

use chrono::{DateTime, Utc};

use super::{Accounts, Changed, changed};
use crate::auth::mail_code::MailCode;
use crate::auth::password::PasswordHash;
use crate::domain::account::{PersonName, User};
use crate::ids::{SubscriptionId, UserId};
use crate::storage::error::StorageError;
use crate::storage::item::{n, s, time};
use crate::storage::keys;

impl Accounts {
    /// Sets a user's password where its credentials are still of version `seen`, and raises the version, which ends
    /// every earlier session and code. Where `verified_at` is given, the e-mail address is verified too, since the
    /// code came to it.
    pub async fn set_password(
        &self,
        user: &User,
        password: &PasswordHash,
        verified_at: Option<DateTime<Utc>>,
    ) -> Result<Changed, StorageError> {
        let mut update = String::from("SET password = :password, credentials = :next");
        let mut request = self
            .table
            .update(&keys::user(user.subscription, user.id))
            // The second condition is for the SDK's next attempt, after the answer to the first was lost: no two
            // requests have the same hash.
            .condition_expression("credentials = :seen OR password = :password")
            .expression_attribute_values(":password", s(password.as_str()))
            .expression_attribute_values(":seen", n(user.credentials))
            .expression_attribute_values(":next", n(user.credentials + 1));
        if let Some(at) = verified_at {
            update.push_str(", emailVerifiedAt = if_not_exists(emailVerifiedAt, :verified)");
            request = request.expression_attribute_values(":verified", time(at));
        }
        update.push_str(" REMOVE resetBy");
        changed(request.update_expression(update).send().await)
    }

    /// Takes away a user's password, and with it all sessions, where its credentials are still of version `seen`; answers
    /// the user as it is then. May be done again with the same code.
    pub async fn begin_reset(
        &self,
        user: &User,
        seen: u64,
        code: &MailCode,
    ) -> Result<Option<User>, StorageError> {
        let sent = self
            .table
            .update(&keys::user(user.subscription, user.id))
            .update_expression("SET credentials = :next, resetBy = :code REMOVE password")
            .condition_expression("credentials = :seen OR (credentials = :next AND resetBy = :code)")
            .expression_attribute_values(":seen", n(seen))
            .expression_attribute_values(":next", n(seen + 1))
            .expression_attribute_values(":code", s(code.hash()))
            .send()
            .await;
        Ok(match changed(sent)? {
            Changed::Done => Some(User {
                credentials: seen + 1,
                ..user.clone()
            }),
            Changed::Stale => None,
        })
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
            .update(&keys::user(subscription, id))
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
            .update(&keys::user(subscription, id))
            .update_expression("SET #name = :name")
            .condition_expression("attribute_exists(pk)")
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":name", s(name.as_str()));
        changed(request.send().await)
    }
}
