//! `POST /api/chats/{chat}/mute`.

use axum::http::Method;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::chats::ChatChange;
use shared::domain::recipient::Recipient;
use utoipa::ToSchema;

use super::changing::{self, change};
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, OptionalJsonBody, Replayable, Spelt, Timestamp};
use crate::messaging::MessagingState;
use crate::messaging::asking::OnceSocket;
use crate::messaging::messages::view::ChatView;

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MuteChat)]
pub struct Request {
    /// Until when the chat is muted, a time to come; for good where it is not there.
    #[schema(value_type = Timestamp, required = false)]
    until: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = MutedChat)]
pub struct Response {
    chat: ChatView,
    /// Always `true`.
    muted: bool,
    /// Until when; `null` where that is for good.
    until: Option<Timestamp>,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    changing::endpoint(
        Endpoint::new(Method::POST, "/api/chats/{chat}/mute", "muteChat", handler),
        "Lets a chat notify no longer",
    )
}

pub async fn handler(
    socket: OnceSocket<permission::PresenceWrite>,
    Spelt(chat): Spelt<Recipient>,
    OptionalJsonBody(request): OptionalJsonBody<Request>,
) -> Result<Replayable<Response>, ApiError> {
    let until = until(&request, socket.socket.state.clock.now())?;
    let changed = change(&socket, chat, ChatChange::Mute { until }).await?;
    Ok(changed.reply(|chat| Response {
        chat,
        muted: true,
        until: until.map(Timestamp),
    }))
}

fn until(request: &Request, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(text) = &request.until else {
        return Ok(None);
    };
    let until = text.parse::<DateTime<Utc>>().ok();
    match until.filter(|until| now < *until) {
        Some(until) => Ok(Some(until)),
        None => Err(ApiError::field("until", "must be an RFC 3339 time in the future")),
    }
}
