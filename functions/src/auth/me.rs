//! `GET /api/auth/me`: who am I.

use serde::Serialize;

use super::view::{SubscriptionView, UserView};
use crate::http::Reply;
use crate::http::caller::UserCaller;

#[derive(Serialize)]
pub struct Response {
    user: UserView,
    subscription: SubscriptionView,
}

pub async fn handler(caller: UserCaller) -> Reply<Response> {
    Reply::ok(Response {
        user: caller.user.into(),
        subscription: caller.subscription.into(),
    })
}
