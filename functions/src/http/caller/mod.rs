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

use shared::domain::account::Subscription;

use super::error::{ApiError, Code};

/// A subscription that is switched off serves no one.
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
