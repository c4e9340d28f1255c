//! `DELETE /api/users/{user}`: frees the address and ends the sessions. An owner's
//! subscription passes to its oldest other user; the last user's goes with it.

use axum::extract::State;
use axum::http::Method;
use shared::domain::audit::Action;
use shared::ids::UserId;
use shared::storage::accounts::Removed;

use super::find::find;
use crate::auth::view::UserView;
use crate::http::caller::Administrator;
use crate::http::{ApiError, Code, Path, Record, Reply, Trail};
use crate::management::people;
use crate::openapi::{Operation, Tag};
use crate::state::AppState;

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(Method::DELETE, "/api/users/{user}", "deleteUser", handler)
        .about(Tag::Administration, "Deletes a user")
        .details("The subscription of an owner passes to its oldest other user; that of the last user goes with it.")
        .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<AppState>,
    Administrator(caller): Administrator,
    trail: Trail,
    Path(id): Path<UserId>,
) -> Result<Reply<UserView>, ApiError> {
    let user = find(&state, id).await?;
    let (user, aftermath) = match state.accounts.remove_user(user.subscription, id).await? {
        Removed::Done { user, aftermath } => (user, aftermath),
        Removed::Gone => return Err(ApiError::not_found("user")),
        Removed::LastAdministrator => return Err(people::last_administrator()),
        Removed::HasInstances => return Err(people::has_instances()),
    };
    let record = Record::by(&caller.user, Action::UserDeleted);
    trail.record(&state, record.of(user.subscription).on(id)).await;
    people::record_aftermath(&state, &trail, &caller.user, user.subscription, aftermath).await;
    Ok(Reply::ok(user.into()))
}
