//! `POST /api/messages/contact`.

use serde::Deserialize;
use shared::domain::content::{Card, Contact, Content, MAX_CONTACT_NAME, MAX_VCARD};
use shared::domain::phone::PhoneNumber;
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::endpoint::Endpoint;
use crate::http::{ApiError, Fields};
use crate::messaging::MessagingState;
use crate::messaging::messages::accept::Accepted;
use crate::messaging::messages::legible;
use crate::messaging::messages::sending::{self, Sending};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[schema(example = json!({"contact": {"name": "Ada Lovelace", "phone": "15550100003"}}))]
pub struct Request {
    /// The contact. Either this or `vcard`.
    #[schema(value_type = NamedContact, required = false)]
    contact: Option<NamedContact>,
    #[schema(schema_with = vcard_schema, required = false)]
    vcard: Option<String>,
}

/// Somebody on WhatsApp, of whom a card is made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedContact {
    #[schema(schema_with = name_schema)]
    name: String,
    #[schema(value_type = PhoneNumber)]
    phone: String,
}

fn name_schema() -> Object {
    legible::schema(MAX_CONTACT_NAME)
        .description(Some("The name that is shown"))
        .examples(["Ada Lovelace"])
        .build()
}

fn vcard_schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(MAX_VCARD))
        .description(Some(
            "One or more vCards as they are to be sent, each from `BEGIN:VCARD` to `END:VCARD` with an `FN`. Either this or `contact`",
        ))
        .examples(["BEGIN:VCARD\nVERSION:3.0\nFN:Ada Lovelace\nTEL;waid=15550100003:+1 555 010 0003\nEND:VCARD"])
        .build()
}

pub fn endpoint() -> Endpoint<MessagingState> {
    sending::endpoint(
        "/api/messages/contact",
        "sendContact",
        "Sends a contact, or several",
        handler,
    )
}

pub async fn handler(sending: Sending<Request>) -> Result<Accepted, ApiError> {
    sending.accept(content).await
}

fn content(own: Request, fields: &mut Fields) -> Content {
    let contacts = match (own.contact, own.vcard) {
        (Some(contact), None) => named(&contact, fields).into_iter().collect(),
        (None, Some(vcard)) => cards(&vcard, fields),
        (None, None) => {
            fields.fault("contact", "is missing: one of contact and vcard must be there");
            Vec::new()
        }
        (Some(_), Some(_)) => {
            fields.fault("vcard", "must not be there beside contact: one of both is sent");
            Vec::new()
        }
    };
    Content::Contact(Contact { contacts })
}

fn named(contact: &NamedContact, fields: &mut Fields) -> Option<Card> {
    legible::require(fields, "contact.name", &contact.name, MAX_CONTACT_NAME);
    let phone = fields.parse::<PhoneNumber>("contact.phone", &contact.phone)?;
    Some(Card::of(&contact.name, &phone))
}

fn cards(vcard: &str, fields: &mut Fields) -> Vec<Card> {
    if !(1..=MAX_VCARD).contains(&vcard.len()) {
        fields.fault("vcard", format!("must have 1 to {MAX_VCARD} bytes"));
        return Vec::new();
    }
    fields.check("vcard", Card::parse(vcard)).unwrap_or_default()
}
