//! Codes that are sent by e-mail: each for one purpose and one user, good once, for a while.

use chrono::{DateTime, TimeDelta, Utc};

use super::error::{StorageError, classify};
use super::item::{Reader, n, s, seconds, text, time};
use super::keys;
use super::outcome::held;
use super::table::Table;
use crate::auth::mail_code::MailCode;
use crate::domain::text_enum;
use crate::ids::{SubscriptionId, UserId};

text_enum! {
    /// What a code allows.
    Purpose {
        /// To show that the address is one's own.
        VerifyEmail = "verify-email",
        /// To set a new password.
        ResetPassword = "reset-password",
        /// To set a first password, as an invited member.
        AcceptInvitation = "accept-invitation",
    }
}

impl Purpose {
    /// How long a code of this purpose is good.
    pub const fn lifetime(self) -> TimeDelta {
        match self {
            Self::VerifyEmail => TimeDelta::days(2),
            Self::ResetPassword => TimeDelta::hours(1),
            Self::AcceptInvitation => TimeDelta::days(7),
        }
    }
}

/// What a code was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issued {
    /// What it allows.
    pub purpose: Purpose,
    /// To whom.
    pub user: UserId,
    /// The user's subscription.
    pub subscription: SubscriptionId,
    /// The version of the user's credentials when it was made: once they have changed, no
    /// older code may change them.
    pub credentials: u64,
}

/// The codes of the table.
#[derive(Debug, Clone)]
pub struct MailCodes {
    table: Table,
}

impl MailCodes {
    /// The codes of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Stores a new code; answers until when it is good.
    pub async fn put(
        &self,
        code: &MailCode,
        issued: &Issued,
        now: DateTime<Utc>,
    ) -> Result<DateTime<Utc>, StorageError> {
        let expires_at = now + issued.purpose.lifetime();
        let mut item = keys::mail_code(&code.hash()).attributes();
        item.insert("purpose".into(), text(issued.purpose));
        item.insert("user".into(), text(issued.user));
        item.insert("subscription".into(), text(issued.subscription));
        item.insert("credentials".into(), n(issued.credentials));
        item.insert("expiresAt".into(), time(expires_at));
        item.insert("exp".into(), seconds(expires_at));
        self.table.put(item).send().await.map_err(classify)?;
        Ok(expires_at)
    }

    /// What a code was made for; `None` for one that is unknown, used, too old or for another purpose.
    pub async fn get(
        &self,
        code: &MailCode,
        purposes: &[Purpose],
        now: DateTime<Utc>,
    ) -> Result<Option<Issued>, StorageError> {
        let Some(item) = self.table.get(&keys::mail_code(&code.hash())).await? else {
            return Ok(None);
        };
        let read = Reader::new("e-mail code", &item);
        let issued = Issued {
            purpose: read.parse("purpose")?,
            user: read.parse("user")?,
            subscription: read.parse("subscription")?,
            credentials: read.number("credentials")?,
        };
        let is_used = item.contains_key("takenBy");
        if is_used || !purposes.contains(&issued.purpose) || read.time("expiresAt")? <= now {
            return Ok(None);
        }
        Ok(Some(issued))
    }

    /// Uses up a code that was found; answers whether this was the first to do so.
    pub async fn use_up(&self, code: &MailCode) -> Result<bool, StorageError> {
        let key = keys::mail_code(&code.hash());
        // Marked and not deleted, so that an attempt after a lost answer knows its own mark. Expiry removes it.
        let sent = self
            .table
            .update(&key)
            .update_expression("SET takenBy = :taker")
            .condition_expression(
                "attribute_exists(pk) AND (attribute_not_exists(takenBy) OR takenBy = :taker)",
            )
            .expression_attribute_values(":taker", s(format!("{:032x}", rand::random::<u128>())))
            .send()
            .await;
        held(sent)
    }
}
