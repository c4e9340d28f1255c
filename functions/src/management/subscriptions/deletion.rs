//! The end of a subscription, which comes with its last user.
//!
//! It is marked first, which switches it off and lets nobody and nothing new in. Then its instances are deleted, as
//! their own route does it, and its counters. Its user goes last, in one transaction with the subscription. So if
//! this is broken off, a user is left, and deleting that user again goes on from there. No instance outlives its
//! subscription.

use shared::domain::account::User;
use shared::ids::SubscriptionId;
use shared::storage::accounts::{Aftermath, Marked, Removed};

use crate::http::{ApiError, Trail};
use crate::management::ManagementState;
use crate::management::instances::delete;
use crate::management::people;

/// How often it is tried while others join, leave and delete.
const ATTEMPTS: usize = 8;

/// Deletes a user, and its subscription if nobody else is left in it.
pub async fn remove(
    state: &ManagementState,
    trail: &Trail,
    actor: &User,
    user: &User,
) -> Result<(User, Aftermath), ApiError> {
    for _ in 0..ATTEMPTS {
        match state.accounts.delete_user(user.subscription, user.id).await? {
            Removed::Done { user, aftermath } => return Ok((user, aftermath)),
            Removed::Gone => return Err(ApiError::not_found("user")),
            Removed::LastAdministrator => return Err(people::last_administrator()),
            Removed::LastOfSubscription => {}
        }
        match state.accounts.begin_deletion(user).await? {
            Marked::Done => empty(state, trail, actor, user.subscription).await?,
            // Somebody has joined, or it is gone already.
            Marked::NotLast => {}
            Marked::LastAdministrator => return Err(people::last_administrator()),
        }
    }
    Err(ApiError::unavailable(1))
}

/// Removes what belongs to a subscription that is marked.
async fn empty(
    state: &ManagementState,
    trail: &Trail,
    actor: &User,
    id: SubscriptionId,
) -> Result<(), ApiError> {
    for instance in state.instances.list_all(id).await? {
        // It does no harm if somebody else has deleted it meanwhile.
        delete::delete(state, trail, actor, &instance).await?;
    }
    state.counters.forget(id).await?;
    Ok(())
}
