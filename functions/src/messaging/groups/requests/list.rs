//! `GET /api/groups/{group}/requests`.

use axum::http::Method;
use chrono::DateTime;
use serde::Serialize;
use shared::domain::question::{JoinRequest, ListRequests};
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, List, Listing, PageQuery, Query, Reply, Spelt, Timestamp};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
use crate::messaging::groups::group::GroupRef;
use crate::messaging::groups::place::Place;
use crate::openapi::Tag;

/// Somebody who asks to be let into a group.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GroupJoinRequest)]
pub struct RequestView {
    /// The number; `null` where WhatsApp gives none.
    #[schema(example = "15550100001")]
    phone: Option<String>,
    #[schema(example = "100000000000001")]
    lid: Option<String>,
    /// When they asked; `null` where WhatsApp does not say.
    requested_at: Option<Timestamp>,
}

impl From<JoinRequest> for RequestView {
    fn from(JoinRequest { person, at, .. }: JoinRequest) -> Self {
        let at = Some(at).filter(|at| *at > 0);
        Self {
            phone: person.phone,
            lid: person.lid,
            requested_at: at.and_then(|at| DateTime::from_timestamp(at, 0)).map(Into::into),
        }
    }
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(
        Method::GET,
        "/api/groups/{group}/requests",
        "listGroupRequests",
        handler,
    )
    .about(Tag::Groups, "Lists those who ask to be let into a group")
    .details("Newest first. The account has to be an admin of the group.")
    .errors(&[Code::Forbidden])
}

pub async fn handler(
    socket: Socket<permission::GroupsRead>,
    Spelt(GroupRef(group)): Spelt<GroupRef>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<RequestView>, ApiError> {
    let list = List::new("group requests")
        .of(socket.caller.grant.instance)
        .of(group.to_jid());
    let page = query.parse::<Place>(list)?;
    let told = socket
        .ask(ListRequests {
            group,
            after: page.after.clone().map(Place::parts),
            limit: page.limit,
        })
        .await?;
    let end = told.requests.last().map(|request| Place {
        at: request.at,
        name: request.name.clone(),
    });
    let pagination = page.pagination(told.more, end);
    Ok(Reply::ok(told.requests.into_iter().map(RequestView::from).collect()).page(pagination))
}
