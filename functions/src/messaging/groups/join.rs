//! `POST /api/groups/join`.

use axum::http::Method;
use serde::{Deserialize, Serialize};
use shared::domain::question::JoinGroup;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::invite_link::show::LINK;
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, JsonBody, Replayable};
use crate::messaging::MessagingState;
use crate::messaging::asking::OnceSocket;
use crate::openapi::Tag;

/// Most characters of a code. WhatsApp's have 22.
const LONGEST: usize = 64;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = JoinGroup)]
pub struct Request {
    #[schema(schema_with = invite_schema)]
    invite: String,
}

fn invite_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some(
            r"^(https?://chat\.whatsapp\.com/(invite/)?)?[A-Za-z0-9_-]{1,64}/?$",
        ))
        .description(Some("A group's link, or the code at its end"))
        .examples(["https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv"])
        .build()
}

/// A group that was joined.
#[derive(Serialize, ToSchema)]
#[schema(as = JoinedGroup)]
pub struct Response {
    /// The group's JID.
    #[schema(example = "120363021033254949@g.us")]
    id: String,
    status: JoinStatus,
}

/// What came of it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum JoinStatus {
    /// The account is in the group.
    Joined,
    /// The group's admins have to decide.
    Requested,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::POST, "/api/groups/join", "joinGroup", handler)
        .about(Tag::Groups, "Joins a group by its link")
        .details(
            "Where the group's admins decide who joins, they are asked (`requested`). A link that leads nowhere, or not any more, is a \
             404. Done once at most: where there is no answer in time, `details.outcome` of the error says whether it was done.",
        )
        .errors(&[Code::Conflict, Code::Forbidden])
}

pub async fn handler(
    socket: OnceSocket<permission::GroupsWrite>,
    JsonBody { value: request, .. }: JsonBody<Request>,
) -> Result<Replayable<Response>, ApiError> {
    let code = code(&request.invite)
        .ok_or_else(|| ApiError::field("invite", "must be a group's link, or the code at its end"))?;
    let told = socket.ask(&code.clone(), Ok(JoinGroup { code })).await?;
    Ok(told.reply(|joined| Response {
        id: joined.group.to_jid(),
        status: if joined.pending {
            JoinStatus::Requested
        } else {
            JoinStatus::Joined
        },
    }))
}

/// The code of a link.
fn code(invite: &str) -> Option<String> {
    let rest = [LINK, "http://chat.whatsapp.com/"]
        .iter()
        .find_map(|start| invite.strip_prefix(start));
    let code = rest.map_or(invite, |rest| rest.strip_prefix("invite/").unwrap_or(rest));
    let code = code.strip_suffix('/').unwrap_or(code);
    let is_fine = (1..=LONGEST).contains(&code.len())
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    is_fine.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_and_its_code_are_the_same() {
        for invite in [
            "AbCd",
            "https://chat.whatsapp.com/AbCd",
            "http://chat.whatsapp.com/AbCd/",
            "https://chat.whatsapp.com/invite/AbCd",
        ] {
            assert_eq!(code(invite).as_deref(), Some("AbCd"), "{invite}");
        }
        let long = "x".repeat(LONGEST + 1);
        for invite in [
            "",
            "a b",
            "https://example.com/AbCd",
            "https://chat.whatsapp.com/",
            &long,
        ] {
            assert_eq!(code(invite), None, "{invite}");
        }
    }
}
