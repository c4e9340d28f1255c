//! `DELETE /api/groups/{group}/invite-link`.

use axum::http::Method;
use shared::domain::question::ResetInvite;

use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, Deleted, Reply, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
use crate::messaging::groups::group::GroupRef;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(
        Method::DELETE,
        "/api/groups/{group}/invite-link",
        "revokeGroupInviteLink",
        handler,
    )
    .about(Tag::Groups, "Makes the link void by which one joins a group")
    .details(
        "The group has another link from then on. `id` is the group's JID. Done once at most: where there is no answer in time, \
         `details.outcome` of the error says whether it was done.",
    )
    .errors(&[Code::Forbidden])
}

pub async fn handler(
    socket: Socket<permission::GroupsWrite>,
    Spelt(GroupRef(group)): Spelt<GroupRef>,
) -> Result<Reply<Deleted>, ApiError> {
    let id = group.to_jid();
    socket.ask(ResetInvite { group }).await?;
    Ok(Reply::ok(Deleted::of(id)))
}
