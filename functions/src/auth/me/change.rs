//! `PATCH /api/auth/me`: by which name the caller goes.

use axum::extract::State;
use axum::http::Method;
use serde::Deserialize;
use shared::domain::account::{PersonName, User};
use shared::domain::audit::Action;
use shared::storage::accounts::Changed;
use utoipa::ToSchema;

use super::Response;
use crate::auth::AuthState;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, Fields, JsonBody, Record, Reply, Trail};
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = PersonName)]
    name: String,
}

pub fn endpoint() -> Endpoint<AuthState> {
    Endpoint::new(Method::PATCH, "/api/auth/me", "updateMe", handler)
        .about(Tag::Authentication, "Changes the caller's name")
        .errors(&[Code::NotFound])
}

pub async fn handler(
    State(state): State<AuthState>,
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
