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
    let until = until(&request)?;
    // A request that comes again may come when the time is over.
    let is_over = until.is_some_and(|until| until <= socket.socket.state.clock.now());
    let muting = if is_over {
        Err(ApiError::field("until", RULE))
    } else {
        Ok(ChatChange::Mute { until })
    };
    let changed = change(&socket, chat, muting, &until).await?;
    Ok(changed.reply(|chat| Response {
        chat,
        muted: true,
        until: until.map(Timestamp),
    }))
}

const RULE: &str = "must be an RFC 3339 time in the future";

fn until(request: &Request) -> Result<Option<DateTime<Utc>>, ApiError> {
    let until = request.until.as_deref().map(str::parse::<DateTime<Utc>>);
    until.transpose().map_err(|_| ApiError::field("until", RULE))
}
