//! `DELETE /api/groups/{group}/participants`.

use axum::http::Method;
use shared::domain::question::ParticipantChange;

use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, JsonBody, Reply, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
use crate::messaging::groups::group::GroupRef;
use crate::messaging::groups::people::{Change, Request, Response};
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::DELETE, "/api/groups/{group}/participants", "removeGroupParticipants", handler)
        .about(Tag::Groups, "Removes people from a group")
        .details(
            "Each participant has a result of its own. Of those who are not in it the status is `not_member`. \
             Done once at most: where there is no answer in time, `details.outcome` of the error says whether it was done.",
        )
        .errors(&[Code::Forbidden])
}

pub async fn handler(
    socket: Socket<permission::GroupsWrite>,
    Spelt(group): Spelt<GroupRef>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let change = Change {
        group,
        what: ParticipantChange::Remove,
        participants: request.participants,
    };
    change.make(&socket).await
}
