//! `POST /api/groups/{group}/demote`.

use axum::http::Method;
use shared::domain::question::ParticipantChange;

use super::group::GroupRef;
use super::people::{Change, Request, Response};
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, JsonBody, Replayable, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::OnceSocket;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::POST, "/api/groups/{group}/demote", "demoteGroupParticipants", handler)
        .about(Tag::Groups, "Makes admins of a group members like any other")
        .details(
            "Each participant has a result of its own. Of those who are no admins the status is `already`. \
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
        what: ParticipantChange::Demote,
        participants: request.participants,
    };
    change.make_once(&socket).await
}
