//! `GET /api/messages/{message}`: what became of a message.

use axum::extract::State;
use axum::http::Method;
use shared::ids::MessageId;

use super::view::MessageView;
use crate::endpoint::Endpoint;
use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Path, Reply};
use crate::messaging::MessagingState;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::GET, "/api/messages/{message}", "getMessage", handler)
        .about(Tag::Messages, "Tells what became of a message")
}

pub async fn handler(
    State(state): State<MessagingState>,
    caller: KeyCaller<permission::MessagesRead>,
    Path(id): Path<MessageId>,
) -> Result<Reply<MessageView>, ApiError> {
    let found = state.messages.get(caller.grant.instance, id).await?;
    let record = found.ok_or_else(|| ApiError::not_found("message"))?;
    Ok(Reply::ok(record.as_of(state.clock.now()).into()))
}
