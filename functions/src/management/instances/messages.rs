//! `GET /api/instances/{instance}/messages`: its message log of 90 days, newest first. It tells which messages went
//! through the instance and what became of them, but neither their content nor with whom.

use axum::extract::State;
use axum::http::Method;
use serde::Serialize;
use shared::domain::message::{Direction, Failure, Kind, MessageRecord, State as MessageState};
use shared::ids::MessageId;
use utoipa::ToSchema;

use super::find::{InstanceRef, find};
use crate::endpoint::Endpoint;
use crate::http::caller::UserCaller;
use crate::http::{ApiError, List, Listing, PageQuery, Path, Query, Reply, Timestamp};
use crate::management::ManagementState;
use crate::message_log::{self, Filter};
use crate::openapi::Tag;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LoggedMessage)]
pub struct Response {
    id: MessageId,
    direction: Direction,
    kind: Kind,
    status: MessageState,
    error: Option<Failure>,
    /// When it was accepted or, where it came in, when WhatsApp says it was sent, in whole
    /// seconds.
    created_at: Timestamp,
    /// When it came in. The list is in this order, and in that of `createdAt` for what was
    /// accepted here.
    received_at: Option<Timestamp>,
    updated_at: Timestamp,
    sent_at: Option<Timestamp>,
    delivered_at: Option<Timestamp>,
    read_at: Option<Timestamp>,
}

pub fn endpoint() -> Endpoint<ManagementState> {
    Endpoint::new(
        Method::GET,
        "/api/instances/{instance}/messages",
        "listInstanceMessages",
        handler,
    )
    .about(
        Tag::Instances,
        "Lists the message log of 90 days, without content",
    )
}

pub async fn handler(
    State(state): State<ManagementState>,
    caller: UserCaller,
    Path(which): Path<InstanceRef>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<Response>, ApiError> {
    let instance = find(&state, caller.subscription.id, &which).await?;
    let page = query.parse::<MessageId>(List::new("messages").of(instance.id))?;
    let (all, now) = (Filter::default(), state.clock.now());
    let (records, pagination) = message_log::read(&state.messages, instance.id, &all, &page, now).await?;
    let entries = records.into_iter().map(Response::from).collect();
    Ok(Reply::ok(entries).page(pagination))
}

impl From<MessageRecord> for Response {
    fn from(record: MessageRecord) -> Self {
        Self {
            id: record.id,
            direction: record.direction,
            kind: record.kind,
            status: record.state,
            error: record.failure,
            created_at: record.created_at.into(),
            received_at: record.received_at.map(Timestamp::from),
            updated_at: record.updated_at.into(),
            sent_at: record.sent_at.map(Timestamp::from),
            delivered_at: record.delivered_at.map(Timestamp::from),
            read_at: record.read_at.map(Timestamp::from),
        }
    }
}
