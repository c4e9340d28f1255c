//! `GET /api/subscription/members`: who belongs to the caller's subscription, newest first.

use axum::extract::State;
use shared::ids::UserId;

use super::view::MemberView;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, PageQuery, Query, Reply};
use crate::state::AppState;

pub async fn handler(
    State(state): State<AppState>,
    caller: UserCaller,
    Query(query): Query<PageQuery>,
) -> Result<Reply<Vec<MemberView>>, ApiError> {
    let page = query.parse::<UserId>()?;
    let subscription = caller.subscription;
    let members = state
        .accounts
        .members(subscription.id, page.after, page.limit + 1)
        .await?;
    let (members, pagination) = page.cut(members, |member| member.user.id);
    let views = members
        .into_iter()
        .map(|member| MemberView::new(member.user, member.invited, &subscription));
    Ok(Reply::ok(views.collect()).page(pagination))
}
