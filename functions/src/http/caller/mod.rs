//! Who calls: extractors whose possession proves authentication, so that no handler can
//! forget to ask.

mod administrator;
mod bearer;
mod denied;
mod key;
mod owner;
pub mod permission;
mod user;

pub use administrator::Administrator;
pub use key::KeyCaller;
pub use owner::Owner;
pub use permission::Permission;
pub use user::UserCaller;

use shared::domain::account::{Subscription, User};

use super::error::{ApiError, Code};

/// A subscription that is switched off serves no one, but for administrators: they are the ones who switch it on.
pub fn require_served(user: &User, subscription: &Subscription) -> Result<(), ApiError> {
    if subscription.active || user.is_active_administrator() {
        Ok(())
    } else {
        Err(inactive())
    }
}

/// A subscription that is switched off serves no program.
fn require_active(subscription: Subscription) -> Result<Subscription, ApiError> {
    if subscription.active {
        Ok(subscription)
    } else {
        Err(inactive())
    }
}

/// The subscription is switched off.
pub fn inactive() -> ApiError {
    ApiError::new(Code::SubscriptionInactive, "The subscription is not active")
}
