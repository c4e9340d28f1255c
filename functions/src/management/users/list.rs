//! `GET /api/users`: the users of all subscriptions, newest first.

use axum::extract::State;
use axum::http::Method;
use shared::ids::UserId;

use crate::auth::view::UserView;
use crate::endpoint::Endpoint;
use crate::http::caller::Administrator;
use crate::http::{ApiError, List, Listing, PageQuery, Query, Reply};
use crate::management::ManagementState;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/api/users", "listUsers", handler)
        .about(Tag::Administration, "Lists the users of all subscriptions")
}

pub async fn handler(
    State(state): State<ManagementState>,
    _: Administrator,
    Query(query): Query<PageQuery>,
) -> Result<Listing<UserView>, ApiError> {
    let page = query.parse::<UserId>(List::new("users"))?;
    let users = state.accounts.list_users(page.after, page.limit + 1).await?;
    let (users, pagination) = page.cut(users, |user| user.id);
    Ok(Reply::ok(users.into_iter().map(UserView::from).collect()).page(pagination))
}
