//! `DELETE /api/contacts/{contact}/block`.

use axum::extract::State;
use axum::http::Method;
use shared::domain::question::Ask;

use super::block::{ERRORS, person};
use super::contact::Contact;
use crate::endpoint::Endpoint;
use crate::http::caller::{KeyCaller, permission};
use crate::http::{ApiError, Deleted, Path, Reply};
use crate::messaging::MessagingState;
use crate::messaging::asking::ask;
use crate::openapi::Tag;

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(
        Method::DELETE,
        "/api/contacts/{contact}/block",
        "unblockContact",
        handler,
    )
    .about(Tag::Contacts, "Ends the blocking of a contact")
    .details(
        "Done once at most. Where there is no answer in time, `details.outcome` of the error says whether it was done: \
         `not_started` or `unknown`. To do it again does no harm. `id` is the contact's JID, as the request names it.",
    )
    .errors(&ERRORS)
}

pub async fn handler(
    State(state): State<MessagingState>,
    caller: KeyCaller<permission::ContactsWrite>,
    Path(Contact(contact)): Path<Contact>,
) -> Result<Reply<Deleted>, ApiError> {
    let id = contact.to_jid();
    let question = Ask::Block {
        contact,
        blocked: false,
    };
    let told = Box::pin(ask(&state, &caller.grant, &caller.subscription, question, None)).await?;
    person(told)?;
    Ok(Reply::ok(Deleted::of(id)))
}
