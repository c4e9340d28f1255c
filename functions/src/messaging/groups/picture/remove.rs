//! `DELETE /api/groups/{group}/picture`.

use axum::http::Method;
use shared::domain::question::ChangePicture;

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
        "/api/groups/{group}/picture",
        "removeGroupPicture",
        handler,
    )
    .about(Tag::Groups, "Takes a group's picture away")
    .details(
        "`id` is the group's JID. Done once at most: where there is no answer in time, `details.outcome` of the error says whether \
         it was done. To do it again does no harm.",
    )
    .errors(&[Code::Forbidden])
}

pub async fn handler(
    socket: Socket<permission::GroupsWrite>,
    Spelt(GroupRef(group)): Spelt<GroupRef>,
) -> Result<Reply<Deleted>, ApiError> {
    let id = group.to_jid();
    socket.ask(ChangePicture { group, image: None }).await?;
    Ok(Reply::ok(Deleted::of(id)))
}
