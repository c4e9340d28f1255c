//! `GET /api/users`: the users of all subscriptions, newest first.

use axum::extract::State;
use shared::ids::UserId;

use crate::auth::view::UserView;
use crate::http::caller::Administrator;
use crate::http::{ApiError, PageQuery, Query, Reply};
use crate::state::AppState;

pub async fn handler(
    State(state): State<AppState>,
    _: Administrator,
    Query(query): Query<PageQuery>,
) -> Result<Reply<Vec<UserView>>, ApiError> {
    let page = query.parse::<UserId>()?;
    let users = state.accounts.users(page.after, page.limit + 1).await?;
    let (users, pagination) = page.cut(users, |user| user.id);
    Ok(Reply::ok(users.into_iter().map(UserView::from).collect()).page(pagination))
}
