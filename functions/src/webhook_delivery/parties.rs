//! Whose an event is, and where it goes.

use chrono::{DateTime, Utc};
use shared::domain::event::EventType;
use shared::domain::instance::Instance;
use shared::domain::webhook::Webhook;
use shared::ids::{InstanceId, SubscriptionId};

use super::dispatch::Handled;
use super::state::WebhooksState;

/// What a webhook is to take.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    /// An event of this type.
    Event(EventType),
    /// What a webhook that was made then did not take.
    Retry(DateTime<Utc>),
}

impl Asked {
    /// Whether a webhook takes it.
    pub(super) fn is_taken_by(self, webhook: &Webhook) -> bool {
        match self {
            // Whoever tests a webhook sees it work before it wants anything.
            Self::Event(kind) => kind == EventType::WebhookTest || webhook.wanted().wants(kind),
            Self::Retry(_) => webhook.enabled && self.is_about(webhook),
        }
    }

    /// Whether it is about this webhook: one that was made anew gets nothing that happened before it.
    pub(super) fn is_about(self, webhook: &Webhook) -> bool {
        match self {
            Self::Event(_) => true,
            Self::Retry(made_at) => webhook.created_at <= made_at,
        }
    }
}

impl WebhooksState {
    /// An instance and its webhook; `None` where one of them is gone.
    ///
    /// They are read as they were a moment ago, in one request and for half the price. A webhook may just have been made or switched
    /// on, and what is dropped is lost: so where they are not there, or the webhook does not take what is asked, both are read
    /// again as they are now.
    pub(super) async fn parties(
        &self,
        (subscription, instance): (SubscriptionId, InstanceId),
        asked: Asked,
    ) -> Handled<Option<(Webhook, Instance)>> {
        let recent = self.webhooks.get_recent_with_instance(subscription, instance);
        if let (Some(webhook), Some(instance)) = recent.await?
            && asked.is_taken_by(&webhook)
        {
            return Ok(Some((webhook, instance)));
        }
        let (webhook, instance) = tokio::try_join!(
            self.webhooks.get(subscription, instance),
            self.instances.get(subscription, instance),
        )?;
        Ok(webhook.zip(instance))
    }
}
