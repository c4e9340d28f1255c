//! `DELETE /api/contacts/{contact}/block`.

use axum::http::Method;
use shared::domain::question::Block;

use super::contact::Contact;
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, Deleted, Reply, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
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
    .errors(&[Code::RecipientNotOnWhatsapp])
}

pub async fn handler(
    socket: Socket<permission::ContactsWrite>,
    Spelt(Contact(contact)): Spelt<Contact>,
) -> Result<Reply<Deleted>, ApiError> {
    let id = contact.to_jid();
    socket
        .ask(Block {
            contact,
            blocked: false,
        })
        .await?;
    Ok(Reply::ok(Deleted::of(id)))
}
