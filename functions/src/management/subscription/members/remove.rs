//! `DELETE /api/subscription/members/{user}`: the member's user is deleted, since a user
//! belongs to one subscription.

use axum::extract::State;
use axum::http::Method;
use shared::domain::audit::Action;
use shared::ids::UserId;
use shared::storage::accounts::Removed;

use crate::http::caller::Owner;
use crate::http::{ApiError, Code, Deleted, Path, Record, Reply, Trail};
use crate::management::people;
use crate::openapi::{Operation, Tag};
use crate::state::AppState;

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(
        Method::DELETE,
        "/api/subscription/members/{user}",
        "removeMember",
        handler,
    )
    .about(Tag::Subscription, "Removes a member, whose user is deleted")
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<AppState>,
    Owner(caller): Owner,
    trail: Trail,
    Path(id): Path<UserId>,
) -> Result<Reply<Deleted>, ApiError> {
    if id == caller.user.id {
        return Err(ApiError::new(Code::Conflict, "The owner cannot remove itself"));
    }
    match state.accounts.remove_user(caller.subscription.id, id).await? {
        Removed::Done { .. } => {}
        Removed::Gone => return Err(ApiError::not_found("user")),
        Removed::LastAdministrator => return Err(people::last_administrator()),
        // The owner stays, so it is not the last.
        Removed::LastOfSubscription => return Err(ApiError::unavailable(1)),
    }
    let record = Record::by(&caller.user, Action::MemberRemoved).on(id);
    trail.record(&state, record).await;
    Ok(Reply::ok(Deleted::of(id)))
}
