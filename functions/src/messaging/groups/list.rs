//! `GET /api/groups`: the groups that the account is in.

use axum::http::Method;
use shared::domain::question::ListGroups;

use super::place::Place;
use super::view::GroupView;
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, List, Listing, PageQuery, Query, Reply};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::GET, "/api/groups", "listGroups", handler)
        .about(Tag::Groups, "Lists the groups that the account is in")
        .details("Newest first. Who is in a group, and what it is about, is told of one group at a time.")
}

pub async fn handler(
    socket: Socket<permission::GroupsRead>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<GroupView>, ApiError> {
    let list = List::new("groups").of(socket.caller.grant.instance);
    let page = query.parse::<Place>(list)?;
    let told = socket
        .ask(ListGroups {
            after: page.after.clone().map(Place::parts),
            limit: page.limit,
        })
        .await?;
    let end = told.groups.last().map(|group| Place {
        at: group.created_at.map_or(0, |at| at.timestamp()),
        name: group.group.clone(),
    });
    let pagination = page.pagination(told.more, end);
    Ok(Reply::ok(told.groups.into_iter().map(GroupView::from).collect()).page(pagination))
}
