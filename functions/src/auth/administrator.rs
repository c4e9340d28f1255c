//! The first administrator: whoever has the configured address, once it is verified.

use shared::domain::account::{Role, User};
use shared::domain::audit::{Action, Actor};

use crate::http::{ApiError, Record, Trail};
use crate::state::AppState;

/// Makes a user an administrator where its verified address is the configured one.
pub async fn promote(state: &AppState, trail: &Trail, user: User) -> Result<User, ApiError> {
    let is_the_one = user.email_verified_at.is_some() && state.admin_email.as_ref() == Some(&user.email);
    if !is_the_one || user.role == Role::Administrator {
        return Ok(user);
    }
    state
        .accounts
        .set_role(user.subscription, user.id, Role::Administrator)
        .await?;
    let record = Record::by(&user, Action::UserUpdated)
        .actor(Actor::System)
        .on(user.id)
        .detail("role", Role::Administrator);
    trail.record(state, record).await;
    Ok(User {
        role: Role::Administrator,
        ..user
    })
}
