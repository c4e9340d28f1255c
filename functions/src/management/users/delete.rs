//! `DELETE /api/users/{user}`: frees the address and ends the sessions. An owner's subscription passes to its oldest
//! other user. The last user's subscription is deleted too, with all that belongs to it.

use axum::extract::State;
use axum::http::Method;
use shared::domain::account::User;
use shared::domain::audit::Action;
use shared::ids::UserId;

use crate::aftermath;
use crate::endpoint::Endpoint;
use crate::http::caller::Administrator;
use crate::http::{ApiError, Code, Deleted, Path, Record, Reply, Trail};
use crate::management::ManagementState;
use crate::management::subscriptions::deletion;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(Method::DELETE, "/api/users/{user}", "deleteUser", handler)
        .about(Tag::Administration, "Deletes a user")
        .details("The subscription of an owner passes to its oldest other user; that of the last user is deleted with it, and all \
             that belongs to it. Where that was broken off, the same request finishes it. An invitation is taken back.")
        .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    Administrator(caller): Administrator,
    trail: Trail,
    Path(id): Path<UserId>,
) -> Result<Reply<Deleted>, ApiError> {
    let Some(user) = state.accounts.get_user_of_any(id).await? else {
        return withdraw(&state, &caller.user, &trail, id).await;
    };
    let (user, aftermath) = deletion::remove(&state, &trail, &caller.user, &user).await?;
    let record = Record::by(&caller.user, Action::UserDeleted);
    trail.record(&state, record.of(user.subscription).on(id)).await;
    aftermath::record(&state, &trail, &caller.user, user.subscription, aftermath).await;
    Ok(Reply::ok(Deleted::of(id)))
}

/// Takes an invitation back that nobody has accepted.
async fn withdraw(
    state: &ManagementState,
    actor: &User,
    trail: &Trail,
    id: UserId,
) -> Result<Reply<Deleted>, ApiError> {
    let now = state.clock.now();
    let invitation = state.accounts.get_invitation_of_any(id, now).await?;
    let invitation = invitation.ok_or_else(|| ApiError::not_found("user"))?;
    if !state.accounts.withdraw(&invitation).await? {
        return Err(ApiError::not_found("user"));
    }
    let record = Record::by(actor, Action::MemberRemoved);
    trail
        .record(state, record.of(invitation.subscription).on(id))
        .await;
    Ok(Reply::ok(Deleted::of(id)))
}
