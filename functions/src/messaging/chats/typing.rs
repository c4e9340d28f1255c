//! `POST /api/chats/{chat}/typing`.

use axum::http::Method;
use shared::domain::chats::Activity;
use shared::domain::recipient::Recipient;

use super::showing::{self, Response, show};
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Replayable, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::OnceSocket;

pub fn endpoint() -> Endpoint<MessagingState> {
    showing::endpoint(
        Endpoint::new(Method::POST, "/api/chats/{chat}/typing", "showTyping", handler),
        "Shows that the account writes in a chat",
    )
}

pub async fn handler(
    socket: OnceSocket<permission::PresenceWrite>,
    Spelt(chat): Spelt<Recipient>,
) -> Result<Replayable<Response>, ApiError> {
    show(&socket, chat, Activity::Typing).await
}
