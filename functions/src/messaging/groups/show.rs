//! `GET /api/groups/{group}`.

use axum::http::Method;
use serde::Serialize;
use shared::domain::question::{GroupShown, ShowGroup};
use utoipa::ToSchema;

use super::group::GroupRef;
use super::view::{GroupView, ParticipantView};
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, Reply, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
use crate::openapi::Tag;

/// All of a group.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupDetails)]
pub struct Response {
    #[serde(flatten)]
    group: GroupView,
    /// What the group is about.
    #[schema(example = "All about engines")]
    description: Option<String>,
    /// Who is in it, the account too: the first 5,000, should there be more.
    participants: Vec<ParticipantView>,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::GET, "/api/groups/{group}", "getGroup", handler)
        .about(Tag::Groups, "Shows a group and who is in it")
        .errors(&[Code::Forbidden])
}

pub async fn handler(
    socket: Socket<permission::GroupsRead>,
    Spelt(GroupRef(group)): Spelt<GroupRef>,
) -> Result<Reply<Response>, ApiError> {
    let GroupShown {
        group,
        description,
        participants,
    } = socket.ask(ShowGroup { group }).await?;
    Ok(Reply::ok(Response {
        group: group.into(),
        description,
        participants: participants.into_iter().map(Into::into).collect(),
    }))
}
