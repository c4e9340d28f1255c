//! `POST /api/groups/{group}/participants`.

use axum::http::Method;
use shared::domain::question::ParticipantChange;

use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, JsonBody, Replayable, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::OnceSocket;
use crate::messaging::groups::group::GroupRef;
use crate::messaging::groups::people::{Change, Request, Response};
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::POST, "/api/groups/{group}/participants", "addGroupParticipants", handler)
        .about(Tag::Groups, "Adds people to a group")
        .details(
            "Each participant has a result of its own. Whoever does not let the account add them to groups gets an invitation from it (`invited`). \
             Done once at most: where there is no answer in time, `details.outcome` of the error says whether it was done.",
        )
        .errors(&[Code::Forbidden])
}

pub async fn handler(
    socket: OnceSocket<permission::GroupsWrite>,
    Spelt(group): Spelt<GroupRef>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Replayable<Response>, ApiError> {
    let change = Change {
        group,
        what: ParticipantChange::Add,
        participants: request.participants,
    };
    change.make_once(&socket).await
}
