//! `GET` and `PATCH /api/auth/me`: who am I, and by which name.

use axum::extract::State;
use axum::http::Method;
use serde::{Deserialize, Serialize};
use shared::domain::account::{PersonName, User};
use shared::domain::audit::Action;
use shared::storage::accounts::Changed;
use utoipa::ToSchema;

use super::view::{SubscriptionView, UserView};
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, Fields, JsonBody, Record, Reply, Trail};
use crate::openapi::{Operation, Tag};
use crate::state::AppState;

#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
pub struct Response {
    user: UserView,
    subscription: SubscriptionView,
}

/// What the document tells of it.
pub fn operation() -> Operation {
    Operation::new(Method::GET, "/api/auth/me", "getMe", show).about(
        Tag::Authentication,
        "Tells who the caller is, with the subscription",
    )
}

pub async fn show(caller: UserCaller) -> Reply<Response> {
    Reply::ok(Response {
        user: caller.user.into(),
        subscription: caller.subscription.into(),
    })
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = PersonName)]
    name: String,
}

/// What the document tells of it.
pub fn change_operation() -> Operation {
    Operation::new(Method::PATCH, "/api/auth/me", "updateMe", change)
        .about(Tag::Authentication, "Changes the caller's name")
        .errors(&[Code::NotFound])
}

pub async fn change(
    State(state): State<AppState>,
    caller: UserCaller,
    trail: Trail,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let mut fields = Fields::default();
    let Some(name) = fields.parse::<PersonName>("name", &request.name) else {
        return Err(fields.error());
    };
    let user = caller.user;
    match state.accounts.set_name(user.subscription, user.id, &name).await? {
        Changed::Done => {}
        Changed::Stale => return Err(ApiError::not_found("user")),
    }
    let record = Record::by(&user, Action::UserUpdated).on(user.id);
    trail.record(&state, record.detail("fields", "name")).await;
    Ok(Reply::ok(Response {
        user: User { name, ..user }.into(),
        subscription: caller.subscription.into(),
    }))
}
