//! `/api/auth/me`: who am I, and by which name.

pub mod change;
pub mod show;

use serde::Serialize;
use utoipa::ToSchema;

use super::view::{SubscriptionView, UserView};

#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
pub struct Response {
    user: UserView,
    subscription: SubscriptionView,
}
