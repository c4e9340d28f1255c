//! `PATCH /api/subscriptions/{subscription}`: another tier or active flag. Callers of a
//! subscription that is not active are refused from their next request on, and its
//! instances' connections end at once. They come back when it is active again.
//!
//! The subscription is written first, then its instances, then the feed is told and the nudges are sent. If that is broken
//! off, the same request completes it.

use axum::extract::State;
use axum::http::Method;
use serde::Deserialize;
use serde_json::json;
use shared::domain::account::Tier;
use shared::domain::audit::Action;
use shared::domain::instance::Instance;
use shared::domain::news::News;
use shared::ids::SubscriptionId;
use shared::storage::accounts::{SubscriptionChange, SubscriptionChanged};
use shared::storage::instances::Suspended;
use utoipa::ToSchema;

use crate::auth::view::SubscriptionView;
use crate::endpoint::Endpoint;
use crate::http::caller::Administrator;
use crate::http::{ApiError, Code, Fields, JsonBody, Path, Record, Reply, Trail};
use crate::management::ManagementState;
use crate::management::instances::nudge_all;
use crate::news;
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = Tier, required = false)]
    tier: Option<String>,
    #[schema(value_type = bool, required = false)]
    active: Option<bool>,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::PATCH,
        "/api/subscriptions/{subscription}",
        "updateSubscription",
        handler,
    )
    .about(
        Tag::Administration,
        "Changes the tier or switches a subscription on or off",
    )
    .details("A tier with room for fewer instances than there are is a conflict.")
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    Administrator(caller): Administrator,
    trail: Trail,
    Path(id): Path<SubscriptionId>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<SubscriptionView>, ApiError> {
    let mut fields = Fields::default();
    let tier = request.tier.as_deref();
    let tier = tier.and_then(|text| fields.parse::<Tier>("tier", text));
    fields.finish()?;
    if request.active == Some(false) && id == caller.subscription.id {
        return Err(ApiError::new(
            Code::Conflict,
            "Your own subscription stays active: without it you could not switch it on again",
        ));
    }
    let change = SubscriptionChange {
        tier,
        active: request.active,
    };
    let subscription = match state.accounts.update_subscription(id, change).await? {
        SubscriptionChanged::Done(subscription) => subscription,
        SubscriptionChanged::InUse { instances } => return Err(in_use(instances, tier)),
        SubscriptionChanged::BeingDeleted => {
            return Err(ApiError::new(
                Code::Conflict,
                "The subscription is being deleted: delete its last user again to finish that",
            ));
        }
        SubscriptionChanged::Gone => return Err(ApiError::not_found("subscription")),
    };
    let mut record = Record::by(&caller.user, Action::SubscriptionUpdated)
        .of(id)
        .on(id);
    if let Some(tier) = tier {
        record = record.detail("tier", tier);
    }
    if let Some(active) = request.active {
        record = record.detail("active", active);
    }
    trail.record(&state, record).await;
    let instances = match request.active {
        Some(active) => suspend(&state, id, !active).await?,
        None => Vec::new(),
    };
    if change != SubscriptionChange::default() {
        let changed = News::subscription_changed(&subscription, state.clock.now());
        news::tell_everywhere(&state, &changed).await;
    }
    nudge_all(&state, &instances).await;
    Ok(Reply::ok(subscription.into()))
}

/// Suspends the subscription's instances, or lets them go on. Answers whose shards are to be nudged.
async fn suspend(
    state: &ManagementState,
    id: SubscriptionId,
    suspended: bool,
) -> Result<Vec<Instance>, ApiError> {
    Ok(match state.instances.suspend(id, suspended).await? {
        Suspended::Done(instances) => instances,
        // Another request has switched the subscription since.
        Suspended::Stale => Vec::new(),
    })
}

fn in_use(instances: u32, tier: Option<Tier>) -> ApiError {
    ApiError::new(
        Code::Conflict,
        "The subscription has more instances than this tier allows",
    )
    .with_details(json!({
        "tier": tier,
        "limit": tier.map(Tier::instances),
        "instancesInUse": instances,
    }))
}
