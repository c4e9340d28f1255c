//! `POST /api/groups/{group}/requests`.

use axum::http::Method;
use serde::Deserialize;
use shared::domain::question::ParticipantChange;
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, Fields, JsonBody, Replayable, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::OnceSocket;
use crate::messaging::groups::group::GroupRef;
use crate::messaging::groups::people::{self, Change, Response};
use crate::openapi::Tag;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DecideGroupRequests)]
pub struct Request {
    #[schema(value_type = Decision)]
    action: String,
    #[schema(schema_with = people::schema)]
    participants: Vec<String>,
}

/// What is decided, as the document tells of it.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(
    dead_code,
    reason = "the handler reads the text, so that a fault names its field"
)]
pub enum Decision {
    /// They come in.
    Approve,
    /// They do not.
    Reject,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(
        Method::POST,
        "/api/groups/{group}/requests",
        "decideGroupRequests",
        handler,
    )
    .about(Tag::Groups, "Lets those in who ask to be let into a group, or does not")
    .details(
        "Each participant has a result of its own; whoever does not ask is `not_member`. Done once at most: where there is no \
         answer in time, `details.outcome` of the error says whether it was done.",
    )
    .errors(&[Code::Forbidden])
}

pub async fn handler(
    socket: OnceSocket<permission::GroupsWrite>,
    Spelt(group): Spelt<GroupRef>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Replayable<Response>, ApiError> {
    let mut fields = Fields::default();
    let change = match request.action.as_str() {
        "approve" => ParticipantChange::Approve,
        "reject" => ParticipantChange::Reject,
        _ => {
            fields.fault("action", "must be approve or reject");
            return Err(fields.error());
        }
    };
    let change = Change {
        group,
        what: change,
        participants: request.participants,
    };
    change.make_once(&socket).await
}
