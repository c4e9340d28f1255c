//! `GET /api/subscriptions`: all subscriptions, newest first.

use axum::extract::State;
use shared::ids::SubscriptionId;

use crate::auth::view::SubscriptionView;
use crate::http::caller::Administrator;
use crate::http::{ApiError, PageQuery, Query, Reply};
use crate::state::AppState;

pub async fn handler(
    State(state): State<AppState>,
    _: Administrator,
    Query(query): Query<PageQuery>,
) -> Result<Reply<Vec<SubscriptionView>>, ApiError> {
    let page = query.parse::<SubscriptionId>()?;
    let found = state.accounts.subscriptions(page.after, page.limit + 1).await?;
    let (found, pagination) = page.cut(found, |subscription| subscription.id);
    let views = found.into_iter().map(SubscriptionView::from);
    Ok(Reply::ok(views.collect()).page(pagination))
}
