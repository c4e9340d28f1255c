//! `GET /api/contacts/blocked`: whom the account blocks.

use axum::http::Method;
use serde::Serialize;
use shared::domain::person::Person;
use shared::domain::question::{BlockList, ListBlocked};
use utoipa::ToSchema;

use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, List, Listing, PageQuery, Query, Reply};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
use crate::openapi::Tag;

/// Somebody whom the account blocks.
#[derive(Serialize, ToSchema)]
#[schema(as = BlockedPerson)]
pub struct Response {
    #[schema(example = "15550100001")]
    phone: Option<String>,
    #[schema(example = "100000000000001")]
    lid: Option<String>,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(
        Method::GET,
        "/api/contacts/blocked",
        "listBlockedContacts",
        handler,
    )
    .about(Tag::Contacts, "Lists whom the account blocks")
    .details("In the order of their names to WhatsApp. WhatsApp is asked for each page.")
}

pub async fn handler(
    socket: Socket<permission::ContactsWrite>,
    Query(query): Query<PageQuery>,
) -> Result<Listing<Response>, ApiError> {
    let page = query.parse::<String>(List::new("blocked").of(socket.caller.grant.instance))?;
    let question = ListBlocked {
        after: page.after.clone(),
        // One more, which tells whether there is another page.
        most: page.limit + 1,
    };
    let BlockList { people } = socket.ask(question).await?;
    let (people, pagination) = page.cut(people, |blocked| blocked.jid.clone());
    let people = people.into_iter().map(|blocked| {
        let Person { phone, lid } = blocked.person;
        Response { phone, lid }
    });
    Ok(Reply::ok(people.collect()).page(pagination))
}
