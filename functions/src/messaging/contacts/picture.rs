//! `GET /api/contacts/{contact}/picture`: where a person's picture is to be had.

use axum::http::Method;
use serde::Serialize;
use shared::domain::question::{FindPicture, FoundPicture};
use utoipa::ToSchema;

use super::contact::Contact;
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, Reply, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
use crate::openapi::Tag;

#[derive(Serialize, ToSchema)]
#[schema(as = ContactPicture)]
pub struct Response {
    /// Changes with the picture.
    #[schema(example = "1700000000")]
    id: String,
    /// Where WhatsApp has it: a JPEG, which anybody may fetch who has the address, for some days.
    #[schema(example = "https://pps.whatsapp.net/v/t61/1.jpg?oe=1")]
    url: String,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(
        Method::GET,
        "/api/contacts/{contact}/picture",
        "getContactPicture",
        handler,
    )
    .about(Tag::Contacts, "Tells where a contact's picture is")
    .details(
        "`NOT_FOUND` where the contact has none, or does not let the account see it. WhatsApp is asked each time.",
    )
    .errors(&[Code::NotFound])
}

pub async fn handler(
    socket: Socket<permission::ContactsRead>,
    Spelt(Contact(contact)): Spelt<Contact>,
) -> Result<Reply<Response>, ApiError> {
    let (state, instance) = (&socket.state, socket.caller.grant.instance);
    let known = state.people.get(instance, &contact, state.clock.now()).await?;
    let contact = known.as_spelt(&contact);
    let FoundPicture { picture } = socket.ask(FindPicture { contact }).await?;
    let picture = picture.ok_or_else(|| ApiError::not_found("picture"))?;
    Ok(Reply::ok(Response {
        id: picture.id,
        url: picture.url,
    }))
}
