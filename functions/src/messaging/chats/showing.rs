//! What an account shows that it does in a chat: how the endpoints of each activity go on.

use serde::Serialize;
use shared::domain::chats::Activity;
use shared::domain::question::{Done, ShowActivity};
use shared::domain::recipient::Recipient;
use utoipa::ToSchema;

use super::named::NamedChat;
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Replayable};
use crate::messaging::MessagingState;
use crate::messaging::asking::OnceSocket;
use crate::messaging::messages::view::ChatView;
use crate::openapi::Tag;

/// What those in the chat are shown.
#[derive(Serialize, ToSchema)]
#[schema(as = ShownActivity)]
pub struct Response {
    chat: ChatView,
    activity: Activity,
}

/// The endpoint of an activity.
pub fn endpoint(endpoint: Endpoint<MessagingState>, summary: &'static str) -> Endpoint<MessagingState> {
    endpoint.about(Tag::Chats, summary).details(
        "WhatsApp shows it for some 25 seconds, to those who look at the chat. The account is available to others \
         meanwhile, also where it is not otherwise. Done once at most.",
    )
}

/// Shows those in a chat what the account does.
pub async fn show(
    socket: &OnceSocket<permission::PresenceWrite>,
    given: Recipient,
    activity: Activity,
) -> Result<Replayable<Response>, ApiError> {
    let said = given.to_jid();
    let chat = NamedChat::find(&socket.socket, given).await?;
    let showing = ShowActivity {
        chat: chat.to_whatsapp(),
        activity,
    };
    let told = socket.ask(&said, Ok(showing)).await?;
    Ok(told.reply(|Done {}| Response {
        chat: chat.view(),
        activity,
    }))
}
