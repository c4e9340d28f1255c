//! `DELETE /api/users/{user}`: frees the address and ends the sessions. An owner's
//! subscription passes to its oldest other user; the last user's goes with it, and all that
//! belongs to it.

use axum::extract::State;
use shared::domain::audit::Action;
use shared::ids::UserId;

use super::find::find;
use crate::auth::view::UserView;
use crate::http::caller::Administrator;
use crate::http::{ApiError, Path, Record, Reply, Trail};
use crate::management::people;
use crate::management::subscriptions::deletion;
use crate::state::AppState;

pub async fn handler(
    State(state): State<AppState>,
    Administrator(caller): Administrator,
    trail: Trail,
    Path(id): Path<UserId>,
) -> Result<Reply<UserView>, ApiError> {
    let user = find(&state, id).await?;
    let (user, aftermath) = deletion::remove(&state, &trail, &caller.user, &user).await?;
    let record = Record::by(&caller.user, Action::UserDeleted);
    trail.record(&state, record.of(user.subscription).on(id)).await;
    people::record_aftermath(&state, &trail, &caller.user, user.subscription, aftermath).await;
    Ok(Reply::ok(user.into()))
}
