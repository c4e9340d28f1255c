//! `GET /api/subscription`: the caller's subscription, with what is in use of it.

use axum::extract::State;
use axum::http::Method;
use serde::Serialize;
use utoipa::ToSchema;

use super::usage::InUse;
use crate::auth::view::SubscriptionView;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Reply};
use crate::management::ManagementState;
use crate::openapi::Tag;

/// A subscription and its use, in one object.
#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionInUse)]
pub struct Response {
    #[serde(flatten)]
    pub subscription: SubscriptionView,
    #[serde(flatten)]
    pub in_use: InUse,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/api/subscription", "getSubscription", handler).about(
        Tag::Subscription,
        "Shows the own subscription, with what is in use of it",
    )
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
) -> Result<Reply<Response>, ApiError> {
    let in_use = InUse::read(&state, caller.subscription.id).await?;
    Ok(Reply::ok(Response {
        subscription: caller.subscription.into(),
        in_use,
    }))
}
