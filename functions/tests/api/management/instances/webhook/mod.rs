//! An instance's webhook, as its owner sets it up, tries it and looks what became of its events.

mod deliveries;
mod replay;
mod secret;
mod settings;
pub mod test;

use serde_json::{Value, json};
use shared::domain::delivery::Errand;
use shared::domain::payload;
use shared::domain::webhook::{Confidential, Webhook};
use shared::ids::InstanceId;
use shared::storage::webhooks::{self, Webhooks};

use crate::support::{Caller, World};

pub const WEBHOOK: &str = "/api/instances/sales/webhook";

/// Settings that are fine.
pub fn hook() -> Value {
    json!({"url": "https://example.com/waxwing", "events": ["message.received"]})
}

/// The webhook as it rests.
pub async fn stored(world: &World, instance: InstanceId) -> Option<Webhook> {
    let subscription = world.stored(instance).await.subscription;
    let webhooks = Webhooks::new(world.state.table.clone());
    webhooks.get(subscription, instance).await.expect("read")
}

/// What is confidential of it.
pub async fn confidential(world: &World, instance: InstanceId) -> Confidential {
    let webhook = stored(world, instance).await.expect("a webhook");
    let opened = webhooks::open(&world.state.sealer, &webhook).await;
    opened.expect("it opens")
}

/// A key that may read and write the webhook: access tokens end soon.
pub async fn keeper(world: &World, owner: &Caller, instance: InstanceId) -> Caller {
    let scopes = json!({"scopes": ["webhook:read", "webhook:write"]});
    world.key(owner, instance, scopes).await
}

/// What waits to be done for webhooks, up to ten.
pub async fn errands(world: &World) -> Vec<Errand> {
    let waiting = world.waiting(&world.queue_names().events_retry()).await;
    let errands = waiting.iter().map(|message| payload::decode(&message.body));
    errands.map(|errand| errand.expect("an errand")).collect()
}
