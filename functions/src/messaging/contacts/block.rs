//! `POST /api/contacts/{contact}/block`.

use axum::http::Method;
use serde::Serialize;
use shared::domain::question::{Block, Blocked};
use shared::domain::recipient::Recipient;
use utoipa::ToSchema;

use super::contact::Contact;
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, Replayable, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::{OnceSocket, Socket};
use crate::openapi::Tag;

/// A contact who is blocked.
#[derive(Serialize, ToSchema)]
#[schema(as = BlockedContact)]
pub struct Response {
    #[schema(example = "15550100001")]
    phone: Option<String>,
    #[schema(example = "100000000000001")]
    lid: Option<String>,
    /// Always `true`.
    blocked: bool,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(
        Method::POST,
        "/api/contacts/{contact}/block",
        "blockContact",
        handler,
    )
    .about(Tag::Contacts, "Blocks a contact")
    .details(
        "Done once at most. Where there is no answer in time, `details.outcome` of the error says whether it was done: \
         `not_started` or `unknown`. The same request under the same idempotency key finds the answer that came later.",
    )
    .errors(&[Code::RecipientNotOnWhatsapp])
}

pub async fn handler(
    socket: OnceSocket<permission::ContactsWrite>,
    Spelt(Contact(contact)): Spelt<Contact>,
) -> Result<Replayable<Response>, ApiError> {
    let is_fine = refuse_oneself(&socket.socket, &contact).await;
    let said = contact.to_jid();
    let blocking = is_fine.map(|()| Block {
        contact,
        blocked: true,
    });
    let told = socket.ask(&said, blocking).await?;
    Ok(told.reply(|Blocked { person }| Response {
        phone: person.phone,
        lid: person.lid,
        blocked: true,
    }))
}

/// An account cannot block itself.
async fn refuse_oneself(
    socket: &Socket<permission::ContactsWrite>,
    contact: &Recipient,
) -> Result<(), ApiError> {
    let (state, now) = (&socket.state, socket.state.clock.now());
    let found = socket.caller.recent_instance(&state.instances, now).await?;
    let account = found.and_then(|instance| instance.account);
    if account.is_some_and(|account| account.person.is_named(contact)) {
        return Err(ApiError::field(
            "contact",
            "must not be the instance's own account",
        ));
    }
    Ok(())
}
