//! `GET /api/messages`: which messages went through the instance and what became of them, newest first.

use axum::extract::State;
use axum::http::Method;
use serde::Deserialize;
use shared::domain::message::{Direction, Kind, State as MessageState};
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId};
use utoipa::ToSchema;

use super::view::MessageView;
use crate::endpoint::Endpoint;
use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Fields, List, Listing, Page, PageCursor, PageLimit, PageQuery, Query, Reply};
use crate::message_log::{self, Filter};
use crate::messaging::MessagingState;
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    #[schema(value_type = Option<PageLimit>)]
    limit: Option<String>,
    #[schema(value_type = Option<PageCursor>)]
    cursor: Option<String>,
    #[schema(value_type = Option<Recipient>)]
    chat: Option<String>,
    #[schema(value_type = Option<MessageState>)]
    status: Option<String>,
    #[schema(value_type = Option<Direction>)]
    direction: Option<String>,
    #[schema(value_type = Option<Kind>)]
    kind: Option<String>,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::GET, "/api/messages", "listMessages", handler)
        .about(Tag::Messages, "Lists the messages of 90 days, without content")
        .details(
            "With a filter a page may have fewer messages than `limit`, or none, while there are more to come: \
             `nextCursor` leads on.",
        )
}

pub async fn handler(
    State(state): State<MessagingState>,
    caller: KeyCaller<permission::MessagesRead>,
    Query(request): Query<Request>,
) -> Result<Listing<MessageView>, ApiError> {
    let (instance, now) = (caller.grant.instance, state.clock.now());
    let (chat, mut filter, page) = parse(&request, instance)?;
    if let Some(chat) = chat {
        filter.chat = Some(names(&state, instance, chat).await?);
    }
    let (records, pagination) = message_log::read(&state.messages, instance, &filter, &page, now).await?;
    let views = records.into_iter().map(MessageView::from).collect();
    Ok(Reply::ok(views).page(pagination))
}

/// What is asked for: of which chat, which other messages, and which page of them.
fn parse(
    request: &Request,
    instance: InstanceId,
) -> Result<(Option<Recipient>, Filter, Page<MessageId>), ApiError> {
    let Request {
        limit,
        cursor,
        chat,
        status,
        direction,
        kind,
    } = request;
    let mut fields = Fields::default();
    let filters = [chat, status, direction, kind].into_iter();
    let list = filters.fold(List::new("messages").of(instance), |list, filter| {
        list.filter(filter.as_deref())
    });
    let page = PageQuery::new(limit.clone(), cursor.clone()).check(&mut fields, list);
    let chat = chat.as_deref().and_then(|text| fields.parse("chat", text));
    let filter = Filter {
        chat: None,
        status: status.as_deref().and_then(|text| fields.parse("status", text)),
        direction: direction
            .as_deref()
            .and_then(|text| fields.parse("direction", text)),
        kind: kind.as_deref().and_then(|text| fields.parse("kind", text)),
    };
    fields.finish()?;
    Ok((chat, filter, page))
}

/// A chat by each name under which records may be. A message that went to a person before the instance knew both names
/// is under the name that was given.
async fn names(
    state: &MessagingState,
    instance: InstanceId,
    chat: Recipient,
) -> Result<Vec<Recipient>, ApiError> {
    let known = state.people.get(instance, &chat, state.clock.now()).await?;
    let mut names: Vec<_> = known.person.names().collect();
    names.extend([known.chat, chat]);
    Ok(names)
}
