//! What functions do that the realtime feed tells of. It goes to a daemon through a shard's second queue.
//!
//! It is ephemeral, as the feed is: what cannot be queued is not told, and nothing waits for it. Only who tries an event hears
//! that it cannot be queued, since that is all that was asked for.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::account::{Subscription, Tier};
use super::event::EventType;
use super::instance::Instance;
use super::network::Network;
use crate::ids::{EventId, InstanceId, MessageId, SubscriptionId};

/// Something that a function has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct News {
    /// Derived from what it tells of, so what comes twice has the same id.
    pub id: EventId,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// To which subscription, or to an instance of which.
    pub subscription: SubscriptionId,
    /// What was done.
    pub done: Done,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "camelCase")]
pub enum Done {
    /// An instance was created.
    InstanceCreated {
        /// Which.
        instance: InstanceId,
        /// Its name.
        name: String,
        /// Its network.
        network: Network,
    },
    /// A subscription has another tier, or was switched on or off.
    SubscriptionChanged {
        /// Its tier now.
        tier: Tier,
        /// Whether it may be used now.
        active: bool,
    },
    /// Somebody tries whether events arrive, with one that could be.
    Tried {
        /// The instance that it is of.
        instance: InstanceId,
        /// Its type. A daemon that does not know it shows nothing.
        event: String,
        /// The message that it is about, if it is about one.
        message: MessageId,
    },
}

impl News {
    /// This instance was created.
    pub fn instance_created(instance: &Instance) -> Self {
        let at = instance.created_at;
        Self {
            id: EventId::derived(at, &["instance.created", &instance.id.to_string()]),
            at,
            subscription: instance.subscription,
            done: Done::InstanceCreated {
                instance: instance.id,
                name: instance.name.to_string(),
                network: instance.network,
            },
        }
    }

    /// This subscription is now as it is here.
    pub fn subscription_changed(subscription: &Subscription, at: DateTime<Utc>) -> Self {
        let (tier, active) = (subscription.tier, subscription.active);
        let of = subscription.id.to_string();
        let parts = ["subscription.changed", &*of, tier.as_str(), &active.to_string()];
        Self {
            id: EventId::derived(at, &parts),
            at,
            subscription: subscription.id,
            done: Done::SubscriptionChanged { tier, active },
        }
    }

    /// An event of this type is tried, about this message, if it is about one.
    pub fn tried(
        id: EventId,
        (instance, subscription): (InstanceId, SubscriptionId),
        event: EventType,
        message: MessageId,
        at: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            at,
            subscription,
            done: Done::Tried {
                instance,
                event: event.to_string(),
                message,
            },
        }
    }
}
