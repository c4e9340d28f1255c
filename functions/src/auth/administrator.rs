//! The first administrator: whoever has the configured address, once it is verified.

use shared::domain::account::{Role, User};
use shared::domain::audit::{Action, Actor};

use crate::auth::AuthState;
use crate::http::{Record, Trail, log};

/// Makes a user an administrator, where its verified address is the configured one. If that fails, the next login
/// does it: the present request is done already, and must not be answered with an error.
pub async fn promote(state: &AuthState, trail: &Trail, user: User) -> User {
    let is_the_one = user.email_verified_at.is_some() && state.admin_email.as_ref() == Some(&user.email);
    if !is_the_one || user.role == Role::Administrator {
        return user;
    }
    let set = state
        .accounts
        .set_role(user.subscription, user.id, Role::Administrator)
        .await;
    if let Err(error) = set {
        log::went_wrong(&error.into(), "the administrator becomes one at the next login");
        return user;
    }
    let record = Record::by(&user, Action::UserUpdated)
        .actor(Actor::System)
        .on(user.id)
        .detail("role", Role::Administrator);
    trail.record(state, record).await;
    User {
        role: Role::Administrator,
        ..user
    }
}
