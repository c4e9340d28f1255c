//! `GET /api/subscription/usage`: what is in use of what the tier allows.

use axum::extract::State;
use axum::http::Method;
use serde::Serialize;
use shared::domain::account::Tier;
use shared::ids::SubscriptionId;
use utoipa::ToSchema;

use crate::auth::view::Limits;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Reply, Timestamp};
use crate::management::ManagementState;
use crate::openapi::Tag;

#[derive(Serialize, ToSchema)]
#[schema(as = Usage)]
pub struct Response {
    tier: Tier,
    limits: Limits,
    #[serde(flatten)]
    in_use: InUse,
}

/// What a subscription has in use.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InUse {
    #[serde(rename = "instancesInUse")]
    instances: u32,
    /// Accepted in this calendar month, UTC.
    messages_this_month: u32,
    /// When the next month begins.
    renews_at: Timestamp,
}

impl InUse {
    /// What it is now.
    pub async fn read(state: &ManagementState, subscription: SubscriptionId) -> Result<Self, ApiError> {
        let (instances, (messages_this_month, renews_at)) = tokio::try_join!(
            state.accounts.instances_in_use(subscription),
            state.counters.get_used_of_quota(subscription, state.clock.now()),
        )?;
        Ok(Self {
            instances,
            messages_this_month,
            renews_at: renews_at.into(),
        })
    }
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/api/subscription/usage", "getUsage", handler)
        .about(Tag::Subscription, "Tells what is in use of what the tier allows")
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
) -> Result<Reply<Response>, ApiError> {
    let in_use = InUse::read(&state, caller.subscription.id).await?;
    let tier = caller.subscription.tier;
    Ok(Reply::ok(Response {
        tier,
        limits: tier.into(),
        in_use,
    }))
}
