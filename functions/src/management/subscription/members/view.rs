//! A member as the others see it.

use serde::Serialize;
use shared::domain::account::{Subscription, User};
use utoipa::ToSchema;

use crate::auth::view::UserView;

/// A user of the caller's subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub struct MemberView {
    #[serde(flatten)]
    user: UserView,
    /// Whether it invites and removes the others.
    owner: bool,
    /// Whether it has not accepted yet: then nobody can log in as this user, and the address may be another's still.
    invited: bool,
}

impl MemberView {
    /// A user of this subscription.
    pub fn new(user: User, invited: bool, subscription: &Subscription) -> Self {
        Self {
            owner: subscription.owner == user.id,
            invited,
            user: user.into(),
        }
    }
}
