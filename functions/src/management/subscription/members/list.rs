//! `GET /api/subscription/members`: who belongs to the caller's subscription or is invited into it, newest first.

use std::cmp::Reverse;

use axum::extract::State;
use axum::http::Method;
use shared::ids::UserId;
use shared::storage::accounts::Member;

use super::view::MemberView;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, List, Listing, PageQuery, Query, Reply};
use crate::management::ManagementState;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::GET, "/api/subscription/members", "listMembers", handler)
        .about(Tag::Subscription, "Lists who belongs to the subscription")
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    Query(query): Query<PageQuery>,
) -> Result<Listing<MemberView>, ApiError> {
    let page = query.parse::<UserId>(List::new("members").of(caller.subscription.id))?;
    let subscription = caller.subscription;
    let (limit, now) = (page.limit + 1, state.clock.now());
    let (mut members, invitations) = tokio::try_join!(
        state.accounts.list_members(subscription.id, page.after, limit),
        state
            .accounts
            .list_invitations(subscription.id, page.after, limit, now),
    )?;
    members.extend(invitations.iter().map(|invitation| Member {
        user: invitation.user(),
        invited: true,
    }));
    members.sort_unstable_by_key(|member| Reverse(member.user.id.to_string()));
    members.truncate(limit as usize);
    let (members, pagination) = page.cut(members, |member| member.user.id);
    let views = members
        .into_iter()
        .map(|member| MemberView::new(member.user, member.invited, &subscription));
    Ok(Reply::ok(views.collect()).page(pagination))
}
