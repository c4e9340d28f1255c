//! Instances: created and steered by functions, observed by the daemon that holds their
//! shard.

mod by_shard;
mod deletion;
mod desired;
mod events;
mod pairing_link;
mod passkey;
mod settings;
mod stored;
mod suspension;

use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};

pub use self::by_shard::{READ_TOGETHER, ReadTogether};
pub use self::deletion::Deleted;
pub use self::desired::PairingWanted;
pub(in crate::storage) use self::pairing_link::linked_from_item;
pub use self::pairing_link::{LinkMade, PairingLink};
pub use self::passkey::PasskeyAnswered;
pub use self::settings::{Settings, Updated};
pub use self::suspension::Suspended;

use self::stored::to_item;
use super::error::{StorageError, classify};
use super::item::{Item, Reader, b, n, s, text, time};
use super::keys;
use super::outcome::Transacted;
use super::table::Table;
use crate::domain::instance::{Account, Instance, InstanceName, Observed, Wanted};
use crate::ids::{InstanceId, SubscriptionId};

/// What came of creating an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It is there.
    Created,
    /// Another instance of the subscription has the name.
    NameTaken,
    /// The subscription has as many instances as its tier allows.
    LimitReached,
    /// The subscription is switched off, or gone.
    SubscriptionInactive,
}

/// What came of a write that only the owner of a shard's lease may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// It is stored.
    Stored,
    /// The instance is gone.
    Gone,
    /// A newer owner has written: this one must stop.
    Fenced,
}

/// The instances of the table.
#[derive(Debug, Clone)]
pub struct Instances {
    table: Table,
}

impl Instances {
    /// The instances of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Creates an instance, where its subscription is active, has fewer than `limit` instances and none of that name.
    /// One transaction: the rules hold under concurrency.
    pub async fn create(&self, instance: &Instance, limit: u32) -> Result<Created, StorageError> {
        let count = Update::builder()
            .table_name(self.table.name())
            .set_key(Some(keys::subscription(instance.subscription).attributes()))
            .update_expression("ADD instanceCount :one")
            .condition_expression(
                // The limit stands twice, since the tier may have been lowered after the caller read it.
                "active = :yes AND (attribute_not_exists(instanceCount) OR instanceCount < :limit) \
                 AND (attribute_not_exists(instanceLimit) OR instanceLimit >= :limit)",
            )
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":limit", n(limit))
            .build()
            .map_err(|error| StorageError::Refused(error.into()))?;
        let put = |item: Item| {
            Put::builder()
                .table_name(self.table.name())
                .set_item(Some(item))
                .condition_expression("attribute_not_exists(pk)")
                .build()
                .map_err(|error| StorageError::Refused(error.into()))
        };
        let mut name = keys::instance_name(instance.subscription, &instance.name).attributes();
        name.insert("instance".into(), text(instance.id));
        let reference = keys::instance_reference(instance.subscription, instance.id).attributes();
        let writes = vec![
            TransactWriteItem::builder().update(count).build(),
            TransactWriteItem::builder().put(put(name)?).build(),
            TransactWriteItem::builder().put(put(reference)?).build(),
            TransactWriteItem::builder().put(put(to_item(instance))?).build(),
        ];
        Ok(match self.table.transact(writes).await? {
            Transacted::Done => Created::Created,
            Transacted::Refused(failed) if failed.get(1) == Some(&true) => Created::NameTaken,
            Transacted::Refused(_) if self.is_active(instance.subscription).await? => Created::LimitReached,
            Transacted::Refused(_) => Created::SubscriptionInactive,
        })
    }

    async fn is_active(&self, subscription: SubscriptionId) -> Result<bool, StorageError> {
        match self.table.get(&keys::subscription(subscription)).await? {
            Some(item) => Reader::new("subscription", &item).flag("active"),
            None => Ok(false),
        }
    }

    /// An instance of this subscription.
    pub async fn get(
        &self,
        subscription: SubscriptionId,
        id: InstanceId,
    ) -> Result<Option<Instance>, StorageError> {
        let found = self.get_of_any(id).await?;
        Ok(found.filter(|instance| instance.subscription == subscription))
    }

    /// An instance of this subscription as it was a moment ago. Half a read unit.
    pub async fn get_recent(
        &self,
        subscription: SubscriptionId,
        id: InstanceId,
    ) -> Result<Option<Instance>, StorageError> {
        let found = self.table.get_recent(&keys::instance(id)).await?;
        of_subscription(subscription, found.as_ref())
    }

    /// An instance of this subscription by its name.
    pub async fn get_by_name(
        &self,
        subscription: SubscriptionId,
        name: &InstanceName,
    ) -> Result<Option<Instance>, StorageError> {
        let found = self.table.get(&keys::instance_name(subscription, name)).await?;
        match found {
            Some(item) => {
                self.get(
                    subscription,
                    Reader::new("instance name", &item).parse("instance")?,
                )
                .await
            }
            None => Ok(None),
        }
    }

    /// Up to `limit` instances of this subscription, newest first, that were created
    /// before `before`. One that cannot be read is left out.
    pub async fn list(
        &self,
        subscription: SubscriptionId,
        before: Option<InstanceId>,
        limit: u32,
    ) -> Result<Vec<Instance>, StorageError> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut before, mut instances) = (before, Vec::new());
        loop {
            let start = before.map(|id| keys::instance_reference(subscription, id));
            let partition = keys::subscription(subscription).pk;
            let left = u32::try_from(wanted - instances.len()).unwrap_or(limit);
            let page = self
                .table
                .last_with_prefix(partition, keys::INSTANCE_REFERENCE_PREFIX, start, left);
            let ids = referred_to(&page.await?)?;
            for loaded in self.load_each(&ids).await {
                match loaded {
                    Ok(Some(instance)) if instance.desired.wanted != Wanted::Deleted => {
                        instances.push(instance);
                    }
                    Ok(_) => {}
                    Err(error @ StorageError::Corrupt { .. }) => {
                        tracing::error!(subscription.id = %subscription, %error, "left out of a list");
                    }
                    Err(error) => return Err(error),
                }
            }
            before = ids.last().copied();
            let is_end = ids.len() < usize::try_from(left).unwrap_or(usize::MAX);
            if is_end || instances.len() >= wanted {
                return Ok(instances);
            }
        }
    }

    /// All instances of this subscription, however many.
    pub async fn list_all(&self, subscription: SubscriptionId) -> Result<Vec<Instance>, StorageError> {
        let references = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", s(keys::subscription(subscription).pk))
            .expression_attribute_values(":prefix", s(keys::INSTANCE_REFERENCE_PREFIX))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, _>>()
            .await
            .map_err(classify)?;
        let mut instances = self.load_all(&referred_to(&references)?).await?;
        instances.retain(|instance| instance.desired.wanted != Wanted::Deleted);
        Ok(instances)
    }

    /// An instance of whichever subscription. For the daemon, which serves all subscriptions, and for a caller whose
    /// API key names the instance.
    pub async fn get_of_any(&self, id: InstanceId) -> Result<Option<Instance>, StorageError> {
        let found = self.get_with_deleted(id).await?;
        Ok(found.filter(|instance| instance.desired.wanted != Wanted::Deleted))
    }

    /// Stores the state of an instance's connection, as the owner with lease `token` saw it.
    pub async fn observe(
        &self,
        id: InstanceId,
        token: u64,
        observed: &Observed,
    ) -> Result<Observation, StorageError> {
        let mut set = vec![("status", text(observed.status)), ("since", time(observed.since))];
        let mut remove = Vec::new();
        let mut optional = |name, value: Option<AttributeValue>| match value {
            Some(value) => set.push((name, value)),
            None => remove.push(name),
        };
        optional("reason", observed.reason.as_deref().map(s));
        optional("lastError", observed.last_error.as_deref().map(s));
        optional("lastRoundTripAt", observed.last_round_trip_at.map(time));
        optional("qr", observed.qr.as_ref().map(|qr| b(qr.sealed.clone())));
        optional("qrAttempt", observed.qr.as_ref().map(|qr| n(qr.attempt)));
        optional("qrExpiresAt", observed.qr.as_ref().map(|qr| time(qr.expires_at)));
        let code = observed.pairing_code.as_ref();
        optional("pairingCode", code.map(|code| b(code.sealed.clone())));
        optional("pairingCodeExpiresAt", code.map(|code| time(code.expires_at)));
        let passkey = observed.passkey.as_ref();
        optional("passkey", passkey.map(|passkey| b(passkey.sealed.clone())));
        optional("passkeyStage", passkey.map(|passkey| text(passkey.stage)));
        optional("passkeyMark", passkey.map(|passkey| s(passkey.mark.as_str())));
        optional(
            "passkeyExpiresAt",
            passkey.map(|passkey| time(passkey.expires_at)),
        );
        let pause = observed.pause.as_ref();
        optional("notBefore", pause.map(|pause| time(pause.not_before)));
        optional("pauseSince", pause.map(|pause| time(pause.since)));
        optional("pauseReason", pause.map(|pause| s(pause.reason.as_str())));
        optional("pauseStrikes", pause.map(|pause| n(pause.strikes)));
        optional("untold", events::waiting(&observed.untold));
        set.push(("observedGeneration", n(observed.generation)));
        // An answer to what waited before is of no use. One that comes while this very write is tried again is lost with it, and
        // is given anew.
        remove.extend([stored::ANSWER_MARK, stored::ANSWER]);
        self.write_fenced(id, token, set, remove).await
    }

    /// Stores the account that an instance is paired with, or that there is none.
    pub async fn set_account(
        &self,
        id: InstanceId,
        token: u64,
        account: Option<&Account>,
    ) -> Result<Observation, StorageError> {
        let mut set = vec![("paired", AttributeValue::Bool(account.is_some()))];
        let mut remove = Vec::new();
        let fields = [
            (
                "phone",
                account.and_then(|account| account.person.phone.as_deref()),
            ),
            ("lid", account.and_then(|account| account.person.lid.as_deref())),
            (
                "displayName",
                account.and_then(|account| account.display_name.as_deref()),
            ),
        ];
        for (name, value) in fields {
            match value {
                Some(value) => set.push((name, s(value))),
                None => remove.push(name),
            }
        }
        if account.is_none() {
            // Who comes back with the link of a pairing that is over finds none.
            remove.extend(pairing_link::ATTRIBUTES);
        }
        self.write_fenced(id, token, set, remove).await
    }

    async fn write_fenced(
        &self,
        id: InstanceId,
        token: u64,
        mut set: Vec<(&'static str, AttributeValue)>,
        remove: Vec<&'static str>,
    ) -> Result<Observation, StorageError> {
        set.push(("fence", n(token)));
        let mut request = self
            .table
            .update(&keys::instance(id))
            // A tombstone has no id.
            .condition_expression("attribute_exists(id) AND (attribute_not_exists(fence) OR fence <= :fence)")
            .return_values_on_condition_check_failure(
                aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld,
            );
        // Every name goes through a placeholder: `status` and others are reserved words.
        let mut assignments = Vec::new();
        for (name, value) in set {
            assignments.push(format!("#{name} = :{name}"));
            request = request
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}"), value);
        }
        let mut expression = format!("SET {}", assignments.join(", "));
        if !remove.is_empty() {
            let names: Vec<_> = remove.iter().map(|name| format!("#{name}")).collect();
            expression = format!("{expression} REMOVE {}", names.join(", "));
            for name in remove {
                request = request.expression_attribute_names(format!("#{name}"), name);
            }
        }
        match request.update_expression(expression).send().await {
            Ok(_) => Ok(Observation::Stored),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => {
                let item = error.as_service_error().and_then(|error| match error {
                    aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(
                        failed,
                    ) => failed.item.as_ref(),
                    _ => None,
                });
                Ok(if item.is_some_and(|item| item.contains_key("id")) {
                    Observation::Fenced
                } else {
                    Observation::Gone
                })
            }
            Err(error) => Err(classify(error)),
        }
    }

    async fn load_all(&self, ids: &[InstanceId]) -> Result<Vec<Instance>, StorageError> {
        let loaded: Result<Vec<_>, _> = self.load_each(ids).await.into_iter().collect();
        Ok(loaded?.into_iter().flatten().collect())
    }

    async fn load_each(&self, ids: &[InstanceId]) -> Vec<Result<Option<Instance>, StorageError>> {
        use futures::StreamExt;
        futures::stream::iter(ids.iter().copied())
            .map(|id| self.get_with_deleted(id))
            .buffered(8)
            .collect()
            .await
    }
}

/// The instance that was found, unless it is deleted or another subscription's.
pub(in crate::storage) fn of_subscription(
    subscription: SubscriptionId,
    found: Option<&Item>,
) -> Result<Option<Instance>, StorageError> {
    // A tombstone has no id.
    let found = found.filter(|item| item.contains_key("id"));
    let instance = found.map(stored::from_item).transpose()?;
    Ok(instance.filter(|instance| {
        instance.desired.wanted != Wanted::Deleted && instance.subscription == subscription
    }))
}

/// The instances that a subscription's references lead to.
fn referred_to(references: &[Item]) -> Result<Vec<InstanceId>, StorageError> {
    let ids = references.iter().map(|item| {
        let reader = Reader::new("instance reference", item);
        let id = reader
            .str("sk")?
            .strip_prefix(keys::INSTANCE_REFERENCE_PREFIX)
            .unwrap_or_default();
        id.parse().map_err(|_| reader.corrupt("sk"))
    });
    ids.collect()
}
