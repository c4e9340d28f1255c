//! `POST /api/chats/{chat}/pin`.

use axum::http::Method;
use serde::Serialize;
use shared::domain::chats::ChatChange;
use shared::domain::recipient::Recipient;
use utoipa::ToSchema;

use super::changing::{self, change};
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Replayable, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::OnceSocket;
use crate::messaging::messages::view::ChatView;

#[derive(Serialize, ToSchema)]
#[schema(as = PinnedChat)]
pub struct Response {
    chat: ChatView,
    /// Always `true`.
    pinned: bool,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    changing::endpoint(
        Endpoint::new(Method::POST, "/api/chats/{chat}/pin", "pinChat", handler),
        "Pins a chat to the top of the list",
    )
}

pub async fn handler(
    socket: OnceSocket<permission::PresenceWrite>,
    Spelt(chat): Spelt<Recipient>,
) -> Result<Replayable<Response>, ApiError> {
    let changed = change(&socket, chat, Ok(ChatChange::Pin { pinned: true }), &()).await?;
    Ok(changed.reply(|chat| Response { chat, pinned: true }))
}
