//! `GET` and `PATCH /api/auth/me`: who am I, and by which name.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::domain::account::{PersonName, User};
use shared::domain::audit::Action;
use shared::storage::accounts::Changed;

use super::view::{SubscriptionView, UserView};
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Fields, JsonBody, Record, Reply, Trail};
use crate::state::AppState;

#[derive(Serialize)]
pub struct Response {
    user: UserView,
    subscription: SubscriptionView,
}

pub async fn show(caller: UserCaller) -> Reply<Response> {
    Reply::ok(Response {
        user: caller.user.into(),
        subscription: caller.subscription.into(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    name: String,
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
