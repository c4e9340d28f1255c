//! `PUT /api/presence`.

use axum::http::Method;
use serde::{Deserialize, Serialize};
use shared::domain::chats::Presence;
use shared::domain::question::{Done, SetPresence};
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Fields, JsonBody, Reply};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetPresence)]
pub struct Request {
    #[schema(value_type = Presence)]
    presence: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OwnPresence)]
pub struct Response {
    presence: Presence,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::PUT, "/api/presence", "setPresence", handler)
        .about(Tag::Chats, "Says whether others see that the account is there")
        .details(
            "While the account is available its phone shows no notifications. It holds for this connection: an instance that \
             connects again is unavailable. Done once at most.",
        )
}

pub async fn handler(
    socket: Socket<permission::PresenceWrite>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let mut fields = Fields::default();
    let presence = fields.parse::<Presence>("presence", &request.presence);
    let presence = presence.ok_or_else(|| fields.error())?;
    let Done {} = socket.ask(SetPresence { presence }).await?;
    Ok(Reply::ok(Response { presence }))
}
