//! `DELETE /api/chats/{chat}/archive`.

use axum::http::Method;
use shared::domain::chats::ChatChange;
use shared::domain::recipient::Recipient;

use super::changing;
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Deleted, Reply, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;

pub fn endpoint() -> Endpoint<MessagingState> {
    changing::endpoint(
        Endpoint::new(
            Method::DELETE,
            "/api/chats/{chat}/archive",
            "unarchiveChat",
            handler,
        ),
        "Brings an archived chat back",
    )
}

pub async fn handler(
    socket: Socket<permission::PresenceWrite>,
    Spelt(chat): Spelt<Recipient>,
) -> Result<Reply<Deleted>, ApiError> {
    changing::end(&socket, chat, ChatChange::Archive { archived: false }).await
}
