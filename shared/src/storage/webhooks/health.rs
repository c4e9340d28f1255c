//! How a webhook's endpoint does: since when it fails, and the breaker, which keeps everybody from connecting to it for a
//! while.
//!
//! All of it is of this webhook as it was made: one that was made anew meanwhile is another one. A change by its owner
//! clears it (see [`Webhooks::put`](super::Webhooks::put)).

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use chrono::{DateTime, Utc};

use super::{Webhooks, refused};
use crate::domain::event::Wants;
use crate::domain::webhook::{DisabledReason, Health, Webhook};
use crate::storage::error::StorageError;
use crate::storage::item::{n, text, time};
use crate::storage::keys;
use crate::storage::once::update_once;
use crate::storage::outcome::{Transacted, held};

impl Webhooks {
    /// Notes that the endpoint has taken an event: it fails no more, and the breaker is closed. Nothing is done where
    /// nothing was noted against it, as the webhook was read. One write unit for each KiB of the webhook otherwise.
    pub async fn note_success(&self, webhook: &Webhook) -> Result<(), StorageError> {
        if webhook.health.is_well() {
            return Ok(());
        }
        let update = self.table.update(&keys::webhook(webhook.instance));
        let sent = update
            .update_expression("REMOVE failingSince, failures, openUntil")
            .condition_expression("createdAt = :made")
            .expression_attribute_values(":made", time(webhook.created_at))
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
        open_until: Option<DateTime<Utc>>,
    ) -> Result<(), StorageError> {
        let update = self.table.update(&keys::webhook(webhook.instance));
        let mut expression = "SET failingSince = if_not_exists(failingSince, :at)".to_owned();
        if open_until.is_some() {
            expression.push_str(", openUntil = :open");
        }
        expression.push_str(" ADD failures :one");
        let mut update = update
            .update_expression(expression)
            .condition_expression("createdAt = :made")
            .expression_attribute_values(":made", time(webhook.created_at))
            .expression_attribute_values(":at", time(at))
            .expression_attribute_values(":one", n(1));
        if let Some(until) = open_until {
            update = update.expression_attribute_values(":open", time(until));
        }
        held(update_once(update).await).map(drop)
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
        let update = self.table.update(&keys::webhook(webhook.instance));
        let sent = update
            .update_expression("SET openUntil = :until")
            .condition_expression("createdAt = :made AND openUntil = :was")
            .expression_attribute_values(":made", time(webhook.created_at))
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
        let mut condition = "createdAt = :made AND #version = :version AND enabled = :yes".to_owned();
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
                 REMOVE openUntil, failures, failingSince",
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
