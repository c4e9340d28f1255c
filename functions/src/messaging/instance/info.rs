//! `GET /api/instance/info`.

use axum::extract::State;
use axum::http::Method;

use crate::connection::Owners;
use crate::endpoint::Endpoint;
use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Code, Reply};
use crate::management::InstanceView;
use crate::messaging::MessagingState;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::GET, "/api/instance/info", "getOwnInstance", handler)
        .about(Tag::Instance, "Shows the instance that the API key is for")
        .errors(&[Code::NotFound])
}

pub async fn handler(
    State(state): State<MessagingState>,
    caller: KeyCaller<permission::InstanceRead>,
) -> Result<Reply<InstanceView>, ApiError> {
    let found = state
        .instances
        .get(caller.subscription.id, caller.grant.instance)
        .await?;
    let instance = found.ok_or_else(|| ApiError::not_found("instance"))?;
    let owners = Owners::of(&state, [&instance]).await?;
    Ok(Reply::ok(InstanceView::new(instance, &owners)))
}
