//! How a chat stands on the account's devices: what the endpoints that change it share.

use serde::Serialize;
use shared::domain::chats::ChatChange;
use shared::domain::question::{ChangeChat, Done};
use shared::domain::recipient::Recipient;

use super::named::NamedChat;
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Deleted, Reply};
use crate::messaging::MessagingState;
use crate::messaging::asking::{OnceSocket, Socket, Told};
use crate::messaging::messages::view::ChatView;
use crate::openapi::Tag;

/// The endpoint of a change.
pub fn endpoint(endpoint: Endpoint<MessagingState>, summary: &'static str) -> Endpoint<MessagingState> {
    endpoint.about(Tag::Chats, summary).details(
        "It shows on the account's phone and on its other devices. Done once at most: where there is no answer in time, \
         `details.outcome` of the error says whether it was done, `not_started` or `unknown`. To do it again does no harm.",
    )
}

/// Changes how a chat stands. Answers the chat as the API shows it. `said` is what the request says besides the chat; `change` is
/// an error where that cannot be done.
pub async fn change(
    socket: &OnceSocket<permission::PresenceWrite>,
    given: Recipient,
    change: Result<ChatChange, ApiError>,
    said: &impl Serialize,
) -> Result<Told<ChatView>, ApiError> {
    let said = (given.to_jid(), said);
    let chat = NamedChat::find(&socket.socket, given).await?;
    let question = change.map(|change| ChangeChat {
        chat: chat.in_settings(),
        change,
    });
    let told = socket.ask(&said, question).await?;
    Ok(Told {
        answer: chat.view(),
        is_replay: told.is_replay,
    })
}

/// Changes it back. `id` of the answer is the chat's JID, as the request names it.
pub async fn end(
    socket: &Socket<permission::PresenceWrite>,
    given: Recipient,
    change: ChatChange,
) -> Result<Reply<Deleted>, ApiError> {
    let id = given.to_jid();
    let chat = NamedChat::find(socket, given).await?.in_settings();
    let Done {} = socket.ask(ChangeChat { chat, change }).await?;
    Ok(Reply::ok(Deleted::of(id)))
}
