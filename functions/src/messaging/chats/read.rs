//! `POST /api/chats/{chat}/read`: marks messages that came in as read.

use axum::http::Method;
use serde::{Deserialize, Serialize};
use shared::domain::question::{ChatRead, ReadChat};
use shared::domain::recipient::Recipient;
use shared::ids::{InvalidId, MessageId};
use utoipa::ToSchema;

use super::named::NamedChat;
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, OptionalJsonBody, Replayable, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::{OnceSocket, Socket};
use crate::messaging::messages::view::ChatView;
use crate::openapi::Tag;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = ReadChat)]
pub struct Request {
    /// The last message of the chat that is marked; the newest where it is not there.
    #[schema(value_type = MessageId, required = false)]
    up_to: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReadMessages)]
pub struct Response {
    chat: ChatView,
    /// How many messages were marked that had not been before.
    #[schema(example = 3)]
    messages: u32,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::POST, "/api/chats/{chat}/read", "readChat", handler)
        .about(Tag::Chats, "Marks the messages of a chat as read")
        .details(
            "Their senders get read receipts, unless the account's privacy settings forbid it. Marked are the messages that came \
             in since the chat was marked last: up to 256 of them, among the newest 500 messages of the instance up to `upTo`. \
             Done once at most.",
        )
        .errors(&[Code::NotFound])
}

pub async fn handler(
    socket: OnceSocket<permission::PresenceWrite>,
    Spelt(given): Spelt<Recipient>,
    OptionalJsonBody(request): OptionalJsonBody<Request>,
) -> Result<Replayable<Response>, ApiError> {
    let said = (given.to_jid(), &request.up_to);
    let chat = NamedChat::find(&socket.socket, given).await?;
    let up_to = up_to(&socket.socket, &chat, &request).await;
    let reading = up_to.map(|up_to| ReadChat {
        chat: chat.canonical().clone(),
        up_to,
    });
    let told = socket.ask(&said, reading).await?;
    Ok(told.reply(|ChatRead { messages }| Response {
        chat: chat.view(),
        messages,
    }))
}

/// The message that is named, which is one of this chat.
async fn up_to(
    socket: &Socket<permission::PresenceWrite>,
    chat: &NamedChat,
    request: &Request,
) -> Result<Option<MessageId>, ApiError> {
    let Some(text) = &request.up_to else {
        return Ok(None);
    };
    let id: MessageId = text
        .parse()
        .map_err(|error: InvalidId| ApiError::field("upTo", error.to_string()))?;
    let instance = socket.caller.grant.instance;
    let record = socket.state.messages.get(instance, id).await?;
    let record = record.ok_or_else(|| ApiError::not_found("message"))?;
    if record.chat == *chat.canonical() {
        Ok(Some(id))
    } else {
        Err(ApiError::field("upTo", "must be a message of this chat"))
    }
}
