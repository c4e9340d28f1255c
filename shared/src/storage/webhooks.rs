//! The instances' webhooks. Each is one item, with how its endpoint does, so that who delivers an event learns all of it
//! by one read.
//!
//! Which events are worth queueing stands on the instance's item too, where its daemon reads it. Both are written in one
//! transaction.

mod health;
mod places;

pub use self::health::Pause;
pub use self::places::Place;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update};
use chrono::{DateTime, Utc};

use super::batch::take;
use super::error::{StorageError, classify};
use super::instances;
use super::item::{Item, Reader, b, n, s, text, texts, time};
use super::keys;
use super::outcome::Transacted;
use super::table::Table;
use crate::domain::account::User;
use crate::domain::event::Wants;
use crate::domain::instance::{Instance, Wanted};
use crate::domain::webhook::{Confidential, Disabled, DisabledReason, Health, Webhook, WebhookUrl};
use crate::ids::{InstanceId, SubscriptionId};
use crate::seal::{Purpose, SealError, Sealer};
use crate::sealed::OpenError;

/// What came of a change of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is stored.
    Done,
    /// Another request has made, changed or deleted the webhook since it was read.
    Stale,
    /// The instance is gone.
    InstanceGone,
    /// The sessions of the user who asks for it have ended.
    SessionOver,
}

/// The condition of a write that is about a webhook as it was read: it is the same one, and nobody has changed it.
const AS_READ: &str = "createdAt = :made AND #version = :version";

/// The table's webhooks.
#[derive(Debug, Clone)]
pub struct Webhooks {
    table: Table,
}

impl Webhooks {
    /// The webhooks of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The webhook of this subscription's instance as it is now. One read unit for each 4 KiB.
    pub async fn get(
        &self,
        subscription: SubscriptionId,
        instance: InstanceId,
    ) -> Result<Option<Webhook>, StorageError> {
        let found = self.table.get(&keys::webhook(instance)).await?;
        of_subscription(subscription, found.as_ref())
    }

    /// The same with the instance, both as they were a moment ago, in one request. Half a read unit for each 4 KiB of either.
    pub async fn get_recent_with_instance(
        &self,
        subscription: SubscriptionId,
        instance: InstanceId,
    ) -> Result<(Option<Webhook>, Option<Instance>), StorageError> {
        let wanted = [keys::webhook(instance), keys::instance(instance)];
        let mut found = self.table.get_many_recent(&wanted).await?;
        let [webhook, instance] = wanted.each_ref().map(|key| take(&mut found, key));
        Ok((
            of_subscription(subscription, webhook.as_ref())?,
            instances::of_subscription(subscription, instance.as_ref())?,
        ))
    }

    /// Stores a webhook in the place of `before` as it was read, or of none, and which events are wanted, in one
    /// transaction. How the endpoint does is forgotten: it begins anew. With `by` nothing changes where the sessions of
    /// that user have ended.
    pub async fn put(
        &self,
        webhook: &Webhook,
        before: Option<&Webhook>,
        by: Option<&User>,
    ) -> Result<Changed, StorageError> {
        let put = Put::builder()
            .table_name(self.table.name())
            .set_item(Some(to_item(webhook)));
        let put = match before {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(before) => put
                .condition_expression(AS_READ)
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":made", time(before.created_at))
                .expression_attribute_values(":version", n(before.version)),
        };
        let put = put.build().map_err(refused)?;
        self.change(
            TransactWriteItem::builder().put(put).build(),
            webhook,
            &webhook.wanted(),
            by,
        )
        .await
    }

    /// Stores the secrets of `webhook` in the place of those of `before` as it was read. How the endpoint does stays. With
    /// `by` nothing changes where the sessions of that user have ended.
    pub async fn rotate(
        &self,
        webhook: &Webhook,
        before: &Webhook,
        by: Option<&User>,
    ) -> Result<Changed, StorageError> {
        let time_or_none = |at: Option<DateTime<Utc>>| at.map_or(AttributeValue::Null(true), time);
        let update = self
            .update(before)
            .update_expression(
                "SET sealed = :sealed, earlierUntil = :earlier, rotatedAt = :rotated, updatedAt = :now, \
                 setBy = :by, #version = :next",
            )
            .expression_attribute_values(":sealed", b(webhook.sealed.clone()))
            .expression_attribute_values(":earlier", time_or_none(webhook.earlier_until))
            .expression_attribute_values(":rotated", time_or_none(webhook.rotated_at))
            .expression_attribute_values(":now", time(webhook.updated_at))
            .expression_attribute_values(":by", text(webhook.set_by))
            .expression_attribute_values(":next", n(webhook.version));
        let update = update.build().map_err(refused)?;
        self.change(
            TransactWriteItem::builder().update(update).build(),
            webhook,
            &webhook.wanted(),
            by,
        )
        .await
    }

    /// Deletes a webhook as it was read; from then on nothing is wanted of the instance. What it has left in the log of
    /// deliveries stays for whoever removes it.
    pub async fn delete(&self, webhook: &Webhook) -> Result<Changed, StorageError> {
        let delete = Delete::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::webhook(webhook.instance).attributes()))
            .condition_expression(AS_READ)
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":made", time(webhook.created_at))
            .expression_attribute_values(":version", n(webhook.version))
            .build()
            .map_err(refused)?;
        let delete = TransactWriteItem::builder().delete(delete).build();
        self.change(delete, webhook, &Wants::default(), None).await
    }

    /// Forgets the webhook of an instance that is deleted. One write unit for each KiB of it.
    pub async fn forget(&self, instance: InstanceId) -> Result<(), StorageError> {
        let delete = self.table.delete(&keys::webhook(instance));
        delete.send().await.map_err(classify)?;
        Ok(())
    }

    /// An update of a webhook under the condition that it is as it was read. The expression sets `#version`.
    fn update(&self, before: &Webhook) -> UpdateBuilder {
        Update::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::webhook(before.instance).attributes()))
            .condition_expression(AS_READ)
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":made", time(before.created_at))
            .expression_attribute_values(":version", n(before.version))
    }

    /// A write of the webhook's item with that of what is wanted of its instance.
    async fn change(
        &self,
        write: TransactWriteItem,
        webhook: &Webhook,
        wants: &Wants,
        by: Option<&User>,
    ) -> Result<Changed, StorageError> {
        let mut writes = vec![write, self.wanting(webhook, wants)?];
        if let Some(user) = by {
            writes.push(self.is_logged_in(user)?);
        }
        Ok(match self.table.transact(writes).await? {
            Transacted::Done => Changed::Done,
            Transacted::Refused(failed) if failed.get(2) == Some(&true) => Changed::SessionOver,
            Transacted::Refused(failed) if failed.get(1) == Some(&true) => Changed::InstanceGone,
            Transacted::Refused(_) => Changed::Stale,
        })
    }

    /// The write of what is wanted of a webhook's instance.
    fn wanting(&self, webhook: &Webhook, wants: &Wants) -> Result<TransactWriteItem, StorageError> {
        let update = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::instance(webhook.instance).attributes()))
            .condition_expression("subscription = :subscription AND wanted <> :deleted")
            .expression_attribute_values(":subscription", text(webhook.subscription))
            .expression_attribute_values(":deleted", text(Wanted::Deleted));
        let update = if wants.is_nothing() {
            update.update_expression("REMOVE wants")
        } else {
            update
                .update_expression("SET wants = :wants")
                .expression_attribute_values(":wants", texts(wants.names()))
        };
        let update = update.build().map_err(refused)?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// The check that a user's credentials are as they were when its request was let in.
    fn is_logged_in(&self, user: &User) -> Result<TransactWriteItem, StorageError> {
        let check = ConditionCheck::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::user(user.subscription, user.id).attributes()))
            .condition_expression("credentials = :credentials")
            .expression_attribute_values(":credentials", n(user.credentials))
            .build()
            .map_err(refused)?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}

fn refused(error: BuildError) -> StorageError {
    StorageError::Refused(error.into())
}

/// Seals what is confidential of an instance's webhook.
pub async fn seal(
    sealer: &Sealer,
    instance: InstanceId,
    confidential: &Confidential,
) -> Result<Vec<u8>, SealError> {
    let plain = serde_json::to_vec(confidential).expect("what is sealed is plain data");
    let of = keys::webhook(instance).path();
    sealer
        .seal(instance, Purpose::Content, of.as_bytes(), &plain)
        .await
}

/// Opens what [`seal`] made for the same instance's webhook.
pub async fn open(sealer: &Sealer, webhook: &Webhook) -> Result<Confidential, OpenError> {
    let of = keys::webhook(webhook.instance).path();
    let plain = sealer
        .open(webhook.instance, Purpose::Content, of.as_bytes(), &webhook.sealed)
        .await?;
    serde_json::from_slice(&plain).map_err(|_| OpenError::Value)
}

/// A webhook's item, without how its endpoint does.
fn to_item(webhook: &Webhook) -> Item {
    let mut item = keys::webhook(webhook.instance).attributes();
    let mut set = |name: &str, value| {
        item.insert(name.to_owned(), value);
    };
    set("instance", text(webhook.instance));
    set("subscription", text(webhook.subscription));
    set("url", s(webhook.url.as_str()));
    set("events", texts(webhook.events.names()));
    set("headerNames", texts(webhook.header_names.iter().cloned()));
    set("enabled", AttributeValue::Bool(webhook.enabled));
    if let Some(Disabled { reason, at }) = webhook.disabled {
        set("disabledReason", text(reason));
        set("disabledAt", time(at));
    }
    for (name, at) in [
        ("earlierUntil", webhook.earlier_until),
        ("rotatedAt", webhook.rotated_at),
    ] {
        if let Some(at) = at {
            set(name, time(at));
        }
    }
    set("setBy", text(webhook.set_by));
    if let Some(claim) = webhook.made_under {
        set("madeUnder", text(claim));
    }
    set("createdAt", time(webhook.created_at));
    set("updatedAt", time(webhook.updated_at));
    set("version", n(webhook.version));
    set("sealed", b(webhook.sealed.clone()));
    item
}

/// The webhook that was found, unless it is another subscription's.
fn of_subscription(
    subscription: SubscriptionId,
    found: Option<&Item>,
) -> Result<Option<Webhook>, StorageError> {
    let webhook = found.map(from_item).transpose()?;
    Ok(webhook.filter(|webhook| webhook.subscription == subscription))
}

fn from_item(item: &Item) -> Result<Webhook, StorageError> {
    let read = Reader::new("webhook", item);
    let disabled = match read.opt_time("disabledAt")? {
        Some(at) => Some(Disabled {
            reason: read.known::<DisabledReason>("disabledReason")?,
            at,
        }),
        None => None,
    };
    Ok(Webhook {
        instance: read.parse("instance")?,
        subscription: read.parse("subscription")?,
        url: WebhookUrl::stored(read.str("url")?),
        events: Wants::named(read.list("events")?),
        header_names: read.list("headerNames")?.into_iter().map(str::to_owned).collect(),
        enabled: read.flag("enabled")?,
        disabled,
        health: Health {
            failing_since: read.opt_time("failingSince")?,
            failures: read.opt_number("failures")?.unwrap_or(0),
            open_until: read.opt_time("openUntil")?,
            slow_until: read.opt_time("slowUntil")?,
        },
        earlier_until: read.opt_time("earlierUntil")?,
        rotated_at: read.opt_time("rotatedAt")?,
        set_by: read.parse("setBy")?,
        made_under: read.opt_parse("madeUnder")?,
        created_at: read.time("createdAt")?,
        updated_at: read.time("updatedAt")?,
        version: read.number("version")?,
        sealed: read.bytes("sealed")?.to_vec(),
    })
}
