//! Users and subscriptions as the API shows them.

use serde::Serialize;
use shared::domain::account::{EmailAddress, PersonName, Role, Subscription, Tier, User};
use shared::ids::{SubscriptionId, UserId};
use utoipa::ToSchema;

use crate::http::Timestamp;

/// A user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub struct UserView {
    id: UserId,
    email: EmailAddress,
    name: PersonName,
    role: Role,
    active: bool,
    email_verified: bool,
    subscription_id: SubscriptionId,
    created_at: Timestamp,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            name: user.name,
            role: user.role,
            active: user.active,
            email_verified: user.email_verified_at.is_some(),
            subscription_id: user.subscription,
            created_at: user.created_at.into(),
        }
    }
}

/// A subscription.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Subscription)]
pub struct SubscriptionView {
    id: SubscriptionId,
    owner_id: UserId,
    tier: Tier,
    active: bool,
    limits: Limits,
    created_at: Timestamp,
}

/// What a tier allows.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TierLimits)]
pub struct Limits {
    #[schema(example = 5)]
    instances: u32,
    #[schema(example = 10_000)]
    messages_per_month: u32,
}

impl From<Tier> for Limits {
    fn from(tier: Tier) -> Self {
        Self {
            instances: tier.instances(),
            messages_per_month: tier.messages_per_month(),
        }
    }
}

impl From<Subscription> for SubscriptionView {
    fn from(subscription: Subscription) -> Self {
        Self {
            id: subscription.id,
            owner_id: subscription.owner,
            tier: subscription.tier,
            active: subscription.active,
            limits: subscription.tier.into(),
            created_at: subscription.created_at.into(),
        }
    }
}
