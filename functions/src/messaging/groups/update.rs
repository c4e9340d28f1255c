//! `PATCH /api/groups/{group}`.

use axum::http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::domain::question::{ChangeGroup, GroupChanged, GroupSetting};
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::create::{check_description, check_subject, description_schema, subject_schema};
use super::group::GroupRef;
use super::view::GroupView;
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, Fields, Given, JsonBody, Reply, Spelt, Whole};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
use crate::openapi::Tag;

/// The times after which the apps let a group's messages disappear, in seconds: never, a day, 7 and 90 days.
const TIMERS: [u32; 4] = [0, 86_400, 604_800, 7_776_000];

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(as = UpdateGroup)]
pub struct Request {
    #[schema(schema_with = subject_schema, required = false)]
    subject: Option<String>,
    #[serde(default)]
    #[schema(schema_with = description_schema, required = false)]
    description: Given<String>,
    /// Whether only admins write.
    #[schema(value_type = bool, required = false)]
    announce: Option<bool>,
    /// Whether only admins change subject, description and picture.
    #[schema(value_type = bool, required = false)]
    locked: Option<bool>,
    #[schema(schema_with = timer_schema, required = false)]
    ephemeral_seconds: Option<Whole>,
    /// Whether admins decide who joins.
    #[schema(value_type = bool, required = false)]
    join_approval: Option<bool>,
}

fn timer_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .enum_values(Some(TIMERS))
        .description(Some("After how many seconds messages disappear; 0 for never"))
        .examples([TIMERS[2]])
        .build()
}

/// A group as it is after a change.
#[derive(Serialize, ToSchema)]
#[schema(as = UpdatedGroup)]
pub struct Response {
    #[serde(flatten)]
    group: GroupView,
    /// What the group is about.
    #[schema(example = "All about engines")]
    description: Option<String>,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::PATCH, "/api/groups/{group}", "updateGroup", handler)
        .about(Tag::Groups, "Changes a group")
        .details(
            "A member that is not there stays as it is. WhatsApp takes one change at a time, in this order: `subject`, `description`, \
             `announce`, `locked`, `ephemeralSeconds`, `joinApproval`. Where it refuses one after others were made, the error's `details` \
             say which were `done` and which was `refused`; those after it are not tried. Done once at most: where there is no answer in \
             time, `details.outcome` says whether it was done. To do it again does no harm.",
        )
        .errors(&[Code::Forbidden])
}

pub async fn handler(
    socket: Socket<permission::GroupsWrite>,
    Spelt(GroupRef(group)): Spelt<GroupRef>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Reply<Response>, ApiError> {
    let changed = socket.ask(wanted(request, group)?).await?;
    if let Some((refused, code)) = changed.refused {
        return Err(in_part(&changed.done, refused, code));
    }
    let GroupChanged {
        group, description, ..
    } = changed;
    Ok(Reply::ok(Response {
        group: group.into(),
        description,
    }))
}

fn wanted(request: Request, group: shared::domain::recipient::Recipient) -> Result<ChangeGroup, ApiError> {
    let mut fields = Fields::default();
    if let Some(subject) = &request.subject {
        check_subject(&mut fields, subject);
    }
    let description = match request.description {
        Given::Absent => None,
        Given::Null => Some(String::new()),
        Given::Value(text) => {
            check_description(&mut fields, &text);
            Some(text)
        }
    };
    if let Some(Whole(seconds)) = request.ephemeral_seconds
        && !TIMERS.contains(&seconds)
    {
        fields.fault("ephemeralSeconds", "must be 0, 86400, 604800 or 7776000");
    }
    fields.finish()?;
    Ok(ChangeGroup {
        group,
        subject: request.subject,
        description,
        announce: request.announce,
        locked: request.locked,
        ephemeral_seconds: request.ephemeral_seconds.map(|Whole(seconds)| seconds),
        join_approval: request.join_approval,
    })
}

/// WhatsApp made some of the changes and refused one.
fn in_part(done: &[GroupSetting], refused: GroupSetting, code: Option<u16>) -> ApiError {
    let done: Vec<_> = done.iter().map(|setting| setting.as_str()).collect();
    ApiError::new(
        Code::UpstreamError,
        "WhatsApp made some of the changes, and refused another",
    )
    .with_details(json!({"done": done, "refused": refused.as_str(), "upstreamCode": code}))
}
