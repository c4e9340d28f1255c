//! `GET /api/subscriptions/{subscription}`: a subscription, with what is in use of it.

use axum::extract::State;
use axum::http::Method;
use shared::ids::SubscriptionId;

use crate::endpoint::Endpoint;
use crate::http::caller::Administrator;
use crate::http::{ApiError, Path, Reply};
use crate::management::ManagementState;
use crate::management::subscription::show::Response;
use crate::management::subscription::usage::InUse;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::GET,
        "/api/subscriptions/{subscription}",
        "getSubscriptionById",
        handler,
    )
    .about(
        Tag::Administration,
        "Shows a subscription, with what is in use of it",
    )
}

pub async fn handler(
    State(state): State<ManagementState>,
    _: Administrator,
    Path(id): Path<SubscriptionId>,
) -> Result<Reply<Response>, ApiError> {
    let found = state.accounts.get_subscription(id).await?;
    let found = found.ok_or_else(|| ApiError::not_found("subscription"))?;
    Ok(Reply::ok(Response {
        subscription: found.into(),
        in_use: InUse::read(&state, id).await?,
    }))
}
