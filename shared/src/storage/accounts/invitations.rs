//! Invitations into a subscription.
//!
//! An invited person is no user until they accept: an invitation is an item of its own, claims no e-mail address and
//! has no password. Accepting is one transaction: the invitation goes, and the user is created, or moved where the
//! address has one by then. An invitation that nobody accepts runs out by itself.

use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem};
use chrono::{DateTime, Utc};

use super::items::user_to_item;
use super::plan::{ATTEMPTS, Aftermath, Plan, Step, Verdict};
use super::{Accounts, email_item, with_password};
use crate::auth::password::PasswordHash;
use crate::domain::account::{EmailAddress, PersonName, Role, User};
use crate::ids::{SubscriptionId, UserId};
use crate::storage::error::StorageError;
use crate::storage::item::{Item, Reader, s, seconds, text, time};
use crate::storage::keys;
use crate::storage::outcome::Transacted;

/// An invitation that nobody has accepted yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The id that its user will have, where none has the address.
    pub id: UserId,
    /// Into which subscription.
    pub subscription: SubscriptionId,
    /// Who is invited.
    pub email: EmailAddress,
    /// By which name.
    pub name: PersonName,
    /// As what.
    pub role: Role,
    /// When.
    pub created_at: DateTime<Utc>,
    /// Until when it can be accepted.
    pub expires_at: DateTime<Utc>,
}

impl Invitation {
    /// The user that accepting it creates, where none has the address.
    pub fn user(&self) -> User {
        User {
            id: self.id,
            subscription: self.subscription,
            email: self.email.clone(),
            name: self.name.clone(),
            role: self.role,
            active: true,
            email_verified_at: None,
            credentials: 1,
            created_at: self.created_at,
        }
    }
}

/// What came of inviting somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invited {
    /// The invitation is there.
    Done,
    /// The address has one into this subscription.
    Already,
    /// The subscription is gone, or about to go.
    SubscriptionGone,
}

/// What came of accepting an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// The user belongs to the subscription.
    Done {
        /// As it is now.
        user: User,
        /// The subscription that it left, if it had an account before, and what became of that.
        left: Option<(SubscriptionId, Aftermath)>,
    },
    /// The invitation or its subscription is gone, or the account of this address is switched off.
    Gone,
    /// The account of this address is the last of a subscription that has instances.
    HasInstances,
}

impl Accounts {
    /// Stores an invitation into a subscription that exists. Whether the address has an account does not matter, and
    /// the outcome does not tell.
    pub async fn invite(&self, invitation: &Invitation, now: DateTime<Utc>) -> Result<Invited, StorageError> {
        let reference = keys::invitation_reference(invitation.id).attributes();
        let writes = vec![
            self.is_joinable(invitation.subscription)?,
            self.invited_address(invitation, now)?,
            self.put(invitation_to_item(invitation))?,
            self.put(led(reference, invitation))?,
        ];
        match self.table.transact(writes).await? {
            Transacted::Done => Ok(Invited::Done),
            Transacted::Refused(failed) if failed.first() == Some(&true) => Ok(Invited::SubscriptionGone),
            Transacted::Refused(failed) if failed.get(1) == Some(&true) => Ok(Invited::Already),
            Transacted::Refused(_) => Err(StorageError::Conflict("a new id is taken".into())),
        }
    }

    /// An invitation that can still be accepted.
    pub async fn get_invitation(
        &self,
        subscription: SubscriptionId,
        id: UserId,
        now: DateTime<Utc>,
    ) -> Result<Option<Invitation>, StorageError> {
        let found = self.table.get(&keys::invitation(subscription, id)).await?;
        let found = found.as_ref().map(invitation_from_item).transpose()?;
        Ok(found.filter(|invitation| invitation.expires_at > now))
    }

    /// An invitation into whichever subscription. For administrators.
    pub async fn get_invitation_of_any(
        &self,
        id: UserId,
        now: DateTime<Utc>,
    ) -> Result<Option<Invitation>, StorageError> {
        let Some(item) = self.table.get(&keys::invitation_reference(id)).await? else {
            return Ok(None);
        };
        let subscription = Reader::new("invitation", &item).parse("subscription")?;
        self.get_invitation(subscription, id, now).await
    }

    /// Up to `limit` invitations into a subscription that can still be accepted, newest first, made before `before`.
    pub async fn list_invitations(
        &self,
        subscription: SubscriptionId,
        before: Option<UserId>,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Vec<Invitation>, StorageError> {
        let mut before = before;
        let mut found = Vec::new();
        loop {
            let partition = keys::subscription(subscription).pk;
            let start = before.map(|id| keys::invitation(subscription, id));
            let page = self
                .table
                .last_with_prefix(partition, keys::INVITATION_PREFIX, start, limit)
                .await?;
            let page = page
                .iter()
                .map(invitation_from_item)
                .collect::<Result<Vec<_>, _>>()?;
            let is_last = page.len() < limit as usize;
            before = page.last().map(|last| last.id);
            // The table removes an item some time after it has run out.
            found.extend(page.into_iter().filter(|one| one.expires_at > now));
            if is_last || found.len() >= limit as usize {
                found.truncate(limit as usize);
                return Ok(found);
            }
        }
    }

    /// Takes an invitation back; answers whether it was there.
    pub async fn withdraw(&self, invitation: &Invitation) -> Result<bool, StorageError> {
        match self.table.transact(self.end(invitation)?).await? {
            Transacted::Done => Ok(true),
            Transacted::Refused(_) => Ok(false),
        }
    }

    /// Accepts an invitation for whoever has shown that the address is theirs. Either a new user of the subscription
    /// is created with this password, or the user who has the address moves there, and their sessions end. One
    /// transaction, which removes the invitation too: of several requests at once only one accepts it.
    pub async fn accept(
        &self,
        invitation: &Invitation,
        password: &PasswordHash,
        now: DateTime<Utc>,
    ) -> Result<Accepted, StorageError> {
        for _ in 0..ATTEMPTS {
            let present = self.get_credentials(&invitation.email).await?;
            let mut plan = Plan::new();
            for write in self.end(invitation)? {
                plan.push(Step::Invitation, write);
            }
            let (user, left) = match present {
                None => {
                    let user = User {
                        email_verified_at: Some(now),
                        ..invitation.user()
                    };
                    plan.push(Step::Administrators, self.administrators(None, Some(&user))?);
                    plan.push(Step::Join, self.join(user.subscription)?);
                    plan.push(Step::Seen, self.put(email_item(&user))?);
                    let item = with_password(user_to_item(&user), Some(password));
                    plan.push(Step::Seen, self.put(item)?);
                    (user, None)
                }
                Some((before, _)) if !before.active => return Ok(Accepted::Gone),
                Some((before, _)) => {
                    let after = before.clone().accepting(invitation, now);
                    plan.push(
                        Step::Administrators,
                        self.administrators(Some(&before), Some(&after))?,
                    );
                    let mut left = None;
                    if after.subscription == before.subscription {
                        plan.push(Step::Seen, self.rewrite(&before, &after, Some(password))?);
                    } else {
                        let aftermath = self.leave(&mut plan, &before).await?;
                        left = Some((before.subscription, aftermath));
                        plan.push(Step::Seen, self.deletion(&before)?);
                        let moved = with_password(user_to_item(&after), Some(password));
                        plan.push(Step::Seen, self.put(moved)?);
                        plan.push(Step::Seen, self.led_address(&after)?);
                        plan.push(Step::Join, self.join(after.subscription)?);
                    }
                    (after, left)
                }
            };
            match self.carry_out(plan).await? {
                Verdict::Done => return Ok(Accepted::Done { user, left }),
                Verdict::Outdated => {}
                Verdict::InUse => return Ok(Accepted::HasInstances),
                // Nobody ceases to be an administrator here.
                Verdict::Uninvited | Verdict::NoSubscription | Verdict::LastAdministrator => {
                    return Ok(Accepted::Gone);
                }
            }
        }
        Err(StorageError::Conflict("a user is changed over and over".into()))
    }

    /// The check that a subscription is there to stay.
    fn is_joinable(&self, id: SubscriptionId) -> Result<TransactWriteItem, StorageError> {
        let check = ConditionCheck::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::subscription(id).attributes()))
            .condition_expression("attribute_exists(pk) AND attribute_not_exists(deleting)")
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// The write that keeps the address from being invited again while this invitation stands.
    fn invited_address(
        &self,
        invitation: &Invitation,
        now: DateTime<Utc>,
    ) -> Result<TransactWriteItem, StorageError> {
        let key = keys::invited_address(invitation.subscription, &invitation.email);
        let put = Put::builder()
            .table_name(self.table.name())
            .set_item(Some(led(key.attributes(), invitation)))
            .condition_expression("attribute_not_exists(pk) OR expiresAt <= :now")
            .expression_attribute_values(":now", time(now))
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// The writes that end an invitation. The first one fails where it has ended already.
    fn end(&self, invitation: &Invitation) -> Result<Vec<TransactWriteItem>, StorageError> {
        let (subscription, id) = (invitation.subscription, invitation.id);
        let delete = |key: &keys::Key, condition: Option<&str>| {
            let delete = Delete::builder()
                .table_name(self.table.name())
                .set_key(Some(key.attributes()))
                .set_condition_expression(condition.map(str::to_owned))
                .build()
                .map_err(|error| StorageError::Refused(error.into()))?;
            Ok(TransactWriteItem::builder().delete(delete).build())
        };
        Ok(vec![
            delete(&keys::invitation(subscription, id), Some("attribute_exists(pk)"))?,
            delete(&keys::invited_address(subscription, &invitation.email), None)?,
            delete(&keys::invitation_reference(id), None)?,
        ])
    }
}

impl User {
    /// The user as a member by this invitation: the address is verified, and all sessions are over.
    fn accepting(self, invitation: &Invitation, now: DateTime<Utc>) -> Self {
        let role = match invitation.role {
            Role::Administrator => Role::Administrator,
            Role::User => self.role,
        };
        Self {
            subscription: invitation.subscription,
            role,
            email_verified_at: self.email_verified_at.or(Some(now)),
            credentials: self.credentials + 1,
            ..self
        }
    }
}

fn invitation_to_item(invitation: &Invitation) -> Item {
    let key = keys::invitation(invitation.subscription, invitation.id);
    let mut item = led(key.attributes(), invitation);
    item.insert("email".into(), s(invitation.email.as_str()));
    item.insert("name".into(), s(invitation.name.as_str()));
    item.insert("role".into(), text(invitation.role));
    item.insert("createdAt".into(), time(invitation.created_at));
    item
}

/// An item that leads to an invitation and runs out with it.
fn led(mut item: Item, invitation: &Invitation) -> Item {
    item.insert("id".into(), text(invitation.id));
    item.insert("subscription".into(), text(invitation.subscription));
    item.insert("expiresAt".into(), time(invitation.expires_at));
    item.insert("exp".into(), seconds(invitation.expires_at));
    item
}

fn invitation_from_item(item: &Item) -> Result<Invitation, StorageError> {
    let read = Reader::new("invitation", item);
    Ok(Invitation {
        id: read.parse("id")?,
        subscription: read.parse("subscription")?,
        email: read.parse("email")?,
        name: read.parse("name")?,
        role: read.parse("role")?,
        created_at: read.time("createdAt")?,
        expires_at: read.time("expiresAt")?,
    })
}
