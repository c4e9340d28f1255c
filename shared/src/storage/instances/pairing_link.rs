//! The link by which whoever holds the phone may pair an instance. It rests on the instance's item, so an instance has one at
//! most: another one takes its place, and it goes with the instance. The write that unpairs an instance removes it. So a link
//! pairs once, whatever becomes of the instance later.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, Utc};

use super::Instances;
use super::stored::from_item;
use crate::auth::pairing_link::{PairingToken, PairingTokenHash};
use crate::domain::account::{Subscription, User};
use crate::domain::instance::{Instance, Wanted};
use crate::ids::UserId;
use crate::storage::error::{StorageError, classify};
use crate::storage::item::{Item, Reader, b, n, text, time};
use crate::storage::keys;
use crate::storage::outcome::condition_failed;

/// The attributes that a link has on its instance's item.
pub(super) const ATTRIBUTES: [&str; 4] = ["linkHash", "linkUser", "linkCredentials", "linkExpiresAt"];

/// A link as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairingLink {
    /// Who made it: it is good while this user may pair the instance.
    pub user: UserId,
    /// The version of the user's credentials when it was made.
    pub credentials: u64,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
}

impl PairingLink {
    /// Whether the right of who made it to pair the instance is there still, by what the table says of them now.
    pub fn is_backed_by(&self, maker: &User, subscription: &Subscription) -> bool {
        maker.active && maker.credentials == self.credentials && subscription.serves(maker)
    }
}

/// What came of making a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkMade {
    /// It leads to the page, and an earlier one does not any more.
    Made,
    /// The instance is paired already.
    Paired,
    /// The instance is gone.
    Gone,
}

impl Instances {
    /// Gives an instance that is not paired this link, in the place of the one that it may have.
    pub async fn set_pairing_link(
        &self,
        token: &PairingToken,
        link: &PairingLink,
    ) -> Result<LinkMade, StorageError> {
        let [hash, user, credentials, expires_at] = ATTRIBUTES;
        let sent = self
            .table
            .update(&keys::instance(token.instance()))
            .update_expression(format!(
                "SET {hash} = :hash, {user} = :user, {credentials} = :credentials, {expires_at} = :until"
            ))
            // A tombstone has no id.
            .condition_expression("attribute_exists(id) AND wanted <> :deleted AND paired = :no")
            .expression_attribute_values(":hash", b(token.hash().as_bytes().to_vec()))
            .expression_attribute_values(":user", text(link.user))
            .expression_attribute_values(":credentials", n(link.credentials))
            .expression_attribute_values(":until", time(link.expires_at))
            .expression_attribute_values(":deleted", text(Wanted::Deleted))
            .expression_attribute_values(":no", AttributeValue::Bool(false))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let error = match sent {
            Ok(_) => return Ok(LinkMade::Made),
            Err(error) if condition_failed(&error) => error,
            Err(error) => return Err(classify(error)),
        };
        let item = match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => failed.item.as_ref(),
            _ => None,
        };
        let is_there =
            |item: &&Item| item.contains_key("id") && item.get("wanted") != Some(&text(Wanted::Deleted));
        Ok(match item.filter(is_there) {
            Some(_) => LinkMade::Paired,
            None => LinkMade::Gone,
        })
    }

    /// The instance that this token's link is for, with the link; `None` where there is no such link, or not any more. Whether
    /// it is good is for the caller to say. One read unit.
    pub async fn get_by_pairing_link(
        &self,
        token: &PairingToken,
    ) -> Result<Option<(Instance, PairingLink)>, StorageError> {
        let item = self.table.get(&keys::instance(token.instance())).await?;
        item.map_or(Ok(None), |item| linked_from_item(&item, &token.hash()))
    }
}

/// The instance of an item, with the link that has this hash; `None` where it has no such link.
pub(in crate::storage) fn linked_from_item(
    item: &Item,
    wanted: &PairingTokenHash,
) -> Result<Option<(Instance, PairingLink)>, StorageError> {
    let read = Reader::new("instance", item);
    let [hash, user, credentials, expires_at] = ATTRIBUTES;
    let stored = read.opt_bytes(hash)?.and_then(PairingTokenHash::from_stored);
    if stored.as_ref() != Some(wanted) {
        return Ok(None);
    }
    let link = PairingLink {
        user: read.parse(user)?,
        credentials: read.number(credentials)?,
        expires_at: read.time(expires_at)?,
    };
    let instance = from_item(item)?;
    let is_there = instance.desired.wanted != Wanted::Deleted;
    Ok(is_there.then_some((instance, link)))
}
