//! `DELETE /api/subscription/members/{user}`: deletes the member's user, since a user belongs to one subscription, or
//! takes an invitation back.

use axum::extract::State;
use axum::http::Method;
use shared::domain::audit::Action;
use shared::ids::{SubscriptionId, UserId};
use shared::storage::accounts::Removed;

use crate::endpoint::Endpoint;
use crate::http::caller::Owner;
use crate::http::{ApiError, Code, Deleted, Path, Record, Reply, Trail};
use crate::management::ManagementState;
use crate::management::people;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::DELETE,
        "/api/subscription/members/{user}",
        "removeMember",
        handler,
    )
    .about(
        Tag::Subscription,
        "Removes a member, whose user is deleted, or takes an invitation back",
    )
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    Owner(caller): Owner,
    trail: Trail,
    Path(id): Path<UserId>,
) -> Result<Reply<Deleted>, ApiError> {
    if id == caller.user.id {
        return Err(ApiError::new(Code::Conflict, "The owner cannot remove itself"));
    }
    match state.accounts.delete_user(caller.subscription.id, id).await? {
        Removed::Done { .. } => {}
        Removed::Gone => withdraw(&state, caller.subscription.id, id).await?,
        Removed::LastAdministrator => return Err(people::last_administrator()),
        // The owner stays, so this user is not the last.
        Removed::LastOfSubscription => return Err(ApiError::unavailable(1)),
    }
    let record = Record::by(&caller.user, Action::MemberRemoved).on(id);
    trail.record(&state, record).await;
    Ok(Reply::ok(Deleted::of(id)))
}

/// Takes an invitation back that nobody has accepted.
async fn withdraw(state: &ManagementState, subscription: SubscriptionId, id: UserId) -> Result<(), ApiError> {
    let now = state.clock.now();
    let invitation = state.accounts.get_invitation(subscription, id, now).await?;
    let invitation = invitation.ok_or_else(|| ApiError::not_found("user"))?;
    if state.accounts.withdraw(&invitation).await? {
        Ok(())
    } else {
        Err(ApiError::not_found("user"))
    }
}
