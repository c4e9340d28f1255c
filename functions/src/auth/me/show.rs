//! `GET /api/auth/me`: who am I.

use axum::http::Method;

use super::Response;
use crate::auth::AuthState;
use crate::endpoint::Endpoint;
use crate::http::Reply;
use crate::http::caller::UserCaller;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<AuthState> {
    Endpoint::new(Method::GET, "/api/auth/me", "getMe", handler).about(
        Tag::Authentication,
        "Tells who the caller is, with the subscription",
    )
}

pub async fn handler(caller: UserCaller) -> Reply<Response> {
    Reply::ok(Response {
        user: caller.user.into(),
        subscription: caller.subscription.into(),
    })
}
