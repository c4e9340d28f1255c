//! `GET /api/instances/{instance}/passkey`: what WhatsApp wants of the account's owner.

use axum::extract::State;
use axum::http::Method;

use super::View;
use crate::connection::Owners;
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, Code, Path, Reply};
use crate::management::ManagementState;
use crate::management::instances::find::{InstanceRef, find};
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::GET,
        "/api/instances/{instance}/passkey",
        "getPasskey",
        handler,
    )
    .about(
        Tag::Instances,
        "Tells what WhatsApp wants of the account's owner before it links",
    )
    .details(
        "Of some accounts WhatsApp wants a passkey. First an assertion for `options`, which only a page of `origin` can get from a \
         browser; then a word that the phone shows the same `code`. Where it wants nothing, the 409 tells the status.",
    )
    .errors(&[Code::Conflict])
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    Path(which): Path<InstanceRef>,
) -> Result<Reply<View>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let owners = Owners::of(&state, [&instance]).await?;
    let request = super::wanted(&state, &instance, &owners)?;
    super::view(&state, &instance, request).await.map(Reply::ok)
}
