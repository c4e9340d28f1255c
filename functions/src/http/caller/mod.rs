//! Who calls. Holding one of these extractors proves authentication, so no handler can forget to check it.

mod administrator;
mod bearer;
mod denied;
mod holder;
mod key;
mod owner;
pub mod permission;
mod user;

pub use administrator::Administrator;
pub use holder::KeyHolder;
pub use key::KeyCaller;
pub use owner::Owner;
pub use permission::Permission;
pub use user::UserCaller;

use shared::domain::account::{Subscription, User};

use super::error::{ApiError, Code};
use crate::state::Users;

/// A subscription that is switched off serves only administrators, who are the ones to switch it on.
pub fn require_served(user: &User, subscription: &Subscription) -> Result<(), ApiError> {
    if subscription.serves(user) {
        Ok(())
    } else {
        Err(inactive())
    }
}

/// What reaches people in a user's name needs a verified address, where the deployment sends the mails that verify
/// one.
pub fn require_verified(state: &Users, user: &User) -> Result<(), ApiError> {
    if user.email_verified_at.is_some() || !state.mailer.sends() {
        return Ok(());
    }
    Err(ApiError::new(
        Code::Forbidden,
        "Your e-mail address is not verified, which this needs: send the code of the mail to `POST /api/auth/verify-email`; \
         `POST /api/auth/resend-verification` sends another. Until then the network `sandbox` is open to you",
    ))
}

/// A subscription that is switched off serves no program.
fn require_active(subscription: Subscription) -> Result<Subscription, ApiError> {
    if subscription.active {
        Ok(subscription)
    } else {
        Err(inactive())
    }
}

/// The session of the access token has ended.
pub fn session_over() -> ApiError {
    ApiError::new(
        Code::Unauthenticated,
        "The access token's session is over: log in again",
    )
}

/// The subscription is switched off.
pub fn inactive() -> ApiError {
    ApiError::new(Code::SubscriptionInactive, "The subscription is not active")
}
