//! `GET /api/contacts/{contact}`: what a person shows the account of themselves.

use axum::http::Method;
use serde::Serialize;
use shared::domain::question::{Business, Show, Shown};
use utoipa::ToSchema;

use super::contact::Contact;
use crate::endpoint::Endpoint;
use crate::http::caller::permission;
use crate::http::{ApiError, Code, Reply, Spelt};
use crate::messaging::MessagingState;
use crate::messaging::asking::Socket;
use crate::openapi::Tag;

/// What a person shows.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ShownContact)]
pub struct Response {
    /// The number as WhatsApp spells it; `null` where it gives none.
    #[schema(example = "15550100001")]
    phone: Option<String>,
    #[schema(example = "100000000000001")]
    lid: Option<String>,
    /// The name that WhatsApp has verified, of a business.
    #[schema(example = "Engines of Ada")]
    business_name: Option<String>,
    /// What the person says about themselves; `null` where they do not let the account see it.
    #[schema(example = "Gone fishing")]
    about: Option<String>,
    /// The profile of a business.
    business: Option<BusinessProfile>,
}

/// The profile of a business.
#[derive(Serialize, ToSchema)]
pub struct BusinessProfile {
    #[schema(example = "Engines that compute")]
    description: Option<String>,
    #[schema(example = "ada@example.com")]
    email: Option<String>,
    #[schema(example = json!(["https://example.com"]))]
    websites: Vec<String>,
    #[schema(example = json!(["Engineering"]))]
    categories: Vec<String>,
    #[schema(example = "1 Analytical Street")]
    address: Option<String>,
}

pub fn endpoint() -> Endpoint<MessagingState> {
    Endpoint::new(Method::GET, "/api/contacts/{contact}", "getContact", handler)
        .about(
            Tag::Contacts,
            "Shows a contact: names, about, and a business's profile",
        )
        .errors(&[Code::NotFound])
}

pub async fn handler(
    socket: Socket<permission::ContactsRead>,
    Spelt(Contact(contact)): Spelt<Contact>,
) -> Result<Reply<Response>, ApiError> {
    let shown = socket.ask(Show { contact }).await;
    let shown = shown.map_err(|error| match error.code() {
        Code::RecipientNotOnWhatsapp => ApiError::not_found("contact"),
        _ => error,
    })?;
    Ok(Reply::ok(shown.into()))
}

impl From<Shown> for Response {
    fn from(shown: Shown) -> Self {
        Self {
            phone: shown.person.phone,
            lid: shown.person.lid,
            business_name: shown.business_name,
            about: shown.about,
            business: shown.business.map(Into::into),
        }
    }
}

impl From<Business> for BusinessProfile {
    fn from(business: Business) -> Self {
        Self {
            description: business.description,
            email: business.email,
            websites: business.websites,
            categories: business.categories,
            address: business.address,
        }
    }
}
