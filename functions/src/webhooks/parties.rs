//! Whose an event is, and where it goes.

use shared::domain::instance::Instance;
use shared::domain::webhook::Webhook;
use shared::ids::{InstanceId, SubscriptionId};

use super::road::Handled;
use super::state::WebhooksState;

impl WebhooksState {
    /// An instance and its webhook; `None` where one of them is gone.
    ///
    /// They are read as they were a moment ago, which is half as dear. A webhook may just have been made or switched on,
    /// and what is dropped is lost: so where they are not there, or the webhook does not take the event, both are read again as
    /// they are now.
    pub(super) async fn parties(
        &self,
        (subscription, instance): (SubscriptionId, InstanceId),
        takes: impl Fn(&Webhook) -> bool,
    ) -> Handled<Option<(Webhook, Instance)>> {
        let recent = tokio::try_join!(
            self.webhooks.of(instance),
            self.instances.get_recent(subscription, instance),
        )?;
        if let (Some(webhook), Some(instance)) = recent
            && takes(&webhook)
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
