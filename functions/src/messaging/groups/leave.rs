//! `POST /api/groups/{group}/leave`.

use axum::http::Method;
use serde::Serialize;
use shared::domain::question::LeaveGroup;
use utoipa::ToSchema;

use super::group::GroupRef;
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, Replayable, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::OnceSocket;
use crate::openapi::Tag;

/// A group that the account has left.
#[derive(Serialize, ToSchema)]
#[schema(as = LeftGroup)]
pub struct Response {
    /// The group's JID.
    #[schema(example = "120363021033254949@g.us")]
    id: String,
    /// Always `true`.
    left: bool,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::POST, "/api/groups/{group}/leave", "leaveGroup", handler)
        .about(Tag::Groups, "Leaves a group")
        .details(
            "Done once at most: where there is no answer in time, `details.outcome` of the error says whether it was done.",
        )
        .errors(&[Code::Forbidden])
}

pub async fn handler(
    socket: OnceSocket<permission::GroupsWrite>,
    Spelt(GroupRef(group)): Spelt<GroupRef>,
) -> Result<Replayable<Response>, ApiError> {
    let id = group.to_jid();
    let told = socket.ask(&id, Ok(LeaveGroup { group })).await?;
    Ok(told.reply(|_| Response { id, left: true }))
}
