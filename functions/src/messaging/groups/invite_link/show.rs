//! `GET /api/groups/{group}/invite-link`.

use axum::http::Method;
use serde::Serialize;
use shared::domain::question::ShowInvite;
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, Reply, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
use crate::messaging::groups::group::GroupRef;
use crate::openapi::Tag;

/// What the links of groups begin with.
pub const LINK: &str = "https://chat.whatsapp.com/";

/// The link by which one joins a group.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupInviteLink)]
pub struct Response {
    #[schema(example = "https://chat.whatsapp.com/AbCdEfGhIjKlMnOpQrStUv")]
    link: String,
    /// The end of the link, with which another instance joins.
    #[schema(example = "AbCdEfGhIjKlMnOpQrStUv")]
    code: String,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(
        Method::GET,
        "/api/groups/{group}/invite-link",
        "getGroupInviteLink",
        handler,
    )
    .about(Tag::Groups, "Shows the link by which one joins a group")
    .errors(&[Code::Forbidden])
}

pub async fn handler(
    socket: Socket<permission::GroupsRead>,
    Spelt(GroupRef(group)): Spelt<GroupRef>,
) -> Result<Reply<Response>, ApiError> {
    let code = socket.ask(ShowInvite { group }).await?.code;
    Ok(Reply::ok(Response {
        link: format!("{LINK}{code}"),
        code,
    }))
}
