//! How a webhook's endpoint does: since when it fails, and the breaker, which keeps everybody from connecting to it for a
//! while.
//!
//! All of it is of this webhook as it was read: one that was made anew or changed meanwhile may lead elsewhere, and what an
//! attempt before it came to says nothing of it. A change by its owner clears it (see
//! [`Webhooks::put`](super::Webhooks::put)).

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use chrono::{DateTime, Utc};

use super::{AS_READ, Webhooks, refused};
use crate::domain::event::Wants;
use crate::domain::webhook::{DisabledReason, Health, Webhook};
use crate::storage::error::StorageError;
use crate::storage::item::{n, s, text, time};
use crate::storage::keys;
use crate::storage::once::update_once;
use crate::storage::outcome::{Transacted, held};

/// Until when nobody is to connect to an endpoint that has failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pause {
    /// What it has asked for itself.
    pub asked: Option<DateTime<Utc>>,
    /// What follows from how it did, as that was read: it holds only where nobody has noted a success since.
    pub by_rule: Option<DateTime<Utc>>,
}

impl Pause {
    /// Until when, if at all.
    pub fn until(self) -> Option<DateTime<Utc>> {
        self.asked.max(self.by_rule)
    }
}

impl Webhooks {
    /// An update of how the endpoint of a webhook does. Its condition begins with [`AS_READ`].
    fn noting(&self, webhook: &Webhook) -> UpdateItemFluentBuilder {
        let update = self.table.update(&keys::webhook(webhook.instance));
        update
            .expression_attribute_names("#version", "version")
            .expression_attribute_values(":made", time(webhook.created_at))
            .expression_attribute_values(":version", n(webhook.version))
    }

    /// Notes that the endpoint has taken an event: it fails no more, and the breaker is closed. Nothing is done where
    /// nothing was noted against it, as the webhook was read. One write unit for each KiB of the webhook otherwise.
    pub async fn note_success(&self, webhook: &Webhook) -> Result<(), StorageError> {
        if webhook.health.is_well() {
            return Ok(());
        }
        let update = self.noting(webhook);
        let sent = update
            .update_expression("REMOVE failingSince, failures, openUntil, probe")
            .condition_expression(AS_READ)
            .send()
            .await;
        held(sent).map(drop)
    }

    /// Notes that an attempt failed which began at `at`, and until when nobody is to connect to the endpoint, where that is
    /// so. One write unit for each KiB of the webhook. Where nobody answers, one failure too many may be counted.
    pub async fn note_failure(
        &self,
        webhook: &Webhook,
        at: DateTime<Utc>,
        pause: Pause,
    ) -> Result<(), StorageError> {
        let since = webhook.health.failing_since.filter(|_| pause.by_rule.is_some());
        if self.count_failure(webhook, at, pause.until(), since).await? || since.is_none() {
            return Ok(());
        }
        // It has changed, or it has done well since it was read.
        self.count_failure(webhook, at, pause.asked, None).await.map(drop)
    }

    /// Counts a failure. With `since` only where the endpoint still fails since then; `false` where that does not hold.
    async fn count_failure(
        &self,
        webhook: &Webhook,
        at: DateTime<Utc>,
        open_until: Option<DateTime<Utc>>,
        since: Option<DateTime<Utc>>,
    ) -> Result<bool, StorageError> {
        let mut expression = "SET failingSince = if_not_exists(failingSince, :at)".to_owned();
        let mut condition = AS_READ.to_owned();
        let mut update = self
            .noting(webhook)
            .expression_attribute_values(":at", time(at))
            .expression_attribute_values(":one", n(1));
        if let Some(until) = open_until {
            expression.push_str(", openUntil = :open");
            update = update.expression_attribute_values(":open", time(until));
        }
        expression.push_str(" ADD failures :one");
        if let Some(since) = since {
            condition.push_str(" AND failingSince = :since");
            update = update.expression_attribute_values(":since", time(since));
        }
        let update = update
            .update_expression(expression)
            .condition_expression(condition);
        held(update_once(update).await)
    }

    /// Notes that an attempt has taken long: until then the endpoint is slow. One write unit for each KiB of the webhook.
    pub async fn note_slow(&self, webhook: &Webhook, until: DateTime<Utc>) -> Result<(), StorageError> {
        let sent = self
            .noting(webhook)
            .update_expression("SET slowUntil = :until")
            .condition_expression(AS_READ)
            .expression_attribute_values(":until", time(until))
            .send()
            .await;
        held(sent).map(drop)
    }

    /// Whether the caller may be the one that tries an endpoint whose breaker was open and whose time is over. Of many at
    /// once one may; the breaker is open for all others until `until`. One write unit for each KiB of the webhook.
    pub async fn probe(&self, webhook: &Webhook, until: DateTime<Utc>) -> Result<bool, StorageError> {
        let Health {
            open_until: Some(open_until),
            ..
        } = webhook.health
        else {
            return Ok(true);
        };
        // A request whose answer was lost is made again, and finds its own mark.
        let mark = hex::encode(rand::random::<[u8; 8]>());
        let sent = self
            .noting(webhook)
            .update_expression("SET openUntil = :until, probe = :mark")
            .condition_expression(format!("{AS_READ} AND (openUntil = :was OR probe = :mark)"))
            .expression_attribute_values(":mark", s(mark))
            .expression_attribute_values(":was", time(open_until))
            .expression_attribute_values(":until", time(until))
            .send()
            .await;
        held(sent)
    }

    /// Switches a webhook off that its owner has not, as it was read; nothing is wanted of its instance then. `false` where
    /// its owner has changed it meanwhile, or it is off already. For [`DisabledReason::FailedTooLong`] it must still fail
    /// since the time at which it did.
    pub async fn disable(
        &self,
        webhook: &Webhook,
        reason: DisabledReason,
        at: DateTime<Utc>,
    ) -> Result<bool, StorageError> {
        let mut condition = format!("{AS_READ} AND enabled = :yes");
        let since = webhook
            .health
            .failing_since
            .filter(|_| reason == DisabledReason::FailedTooLong);
        if since.is_some() {
            condition.push_str(" AND failingSince = :since");
        }
        let mut update = self
            .update(webhook)
            .update_expression(
                "SET enabled = :no, disabledReason = :reason, disabledAt = :at, #version = :next \
                 REMOVE openUntil, failures, failingSince, probe",
            )
            .condition_expression(condition)
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .expression_attribute_values(":no", AttributeValue::Bool(false))
            .expression_attribute_values(":reason", text(reason))
            .expression_attribute_values(":at", time(at))
            .expression_attribute_values(":next", n(webhook.version + 1));
        if let Some(since) = since {
            update = update.expression_attribute_values(":since", time(since));
        }
        let update = update.build().map_err(refused)?;
        let writes = vec![
            TransactWriteItem::builder().update(update).build(),
            self.wanting(webhook, &Wants::default())?,
        ];
        Ok(self.table.transact(writes).await? == Transacted::Done)
    }
}
