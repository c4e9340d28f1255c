//! `GET /api/subscriptions`: all subscriptions, newest first.

use axum::extract::State;
use axum::http::Method;
use shared::ids::SubscriptionId;

use crate::auth::view::SubscriptionView;
use crate::endpoint::Endpoint;
use crate::http::caller::Administrator;
use crate::http::{ApiError, List, Listing, PageQuery, Query, Reply};
use crate::management::ManagementState;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/api/subscriptions", "listSubscriptions", handler)
        .about(Tag::Administration, "Lists all subscriptions")
}

pub async fn handler(
    State(state): State<ManagementState>,
    _: Administrator,
    Query(query): Query<PageQuery>,
) -> Result<Listing<SubscriptionView>, ApiError> {
    let page = query.parse::<SubscriptionId>(List::new("subscriptions"))?;
    let found = state
        .accounts
        .list_subscriptions(page.after, page.limit + 1)
        .await?;
    let (found, pagination) = page.cut(found, |subscription| subscription.id);
    let views = found.into_iter().map(SubscriptionView::from);
    Ok(Reply::ok(views.collect()).page(pagination))
}
