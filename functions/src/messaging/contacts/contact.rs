//! A contact as requests name one: a person, never a group.

use std::borrow::Cow;
use std::str::FromStr;

use shared::domain::recipient::{InvalidRecipient, Recipient};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Most characters of what names a contact. What names one is far shorter.
pub const LONGEST: usize = 100;

/// The schema of a list of contacts, `most` of them at most. One that names nobody is the route's to tell of.
pub fn list_schema(most: usize, description: &str) -> Array {
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(LONGEST))
        .examples(["15550100001"])
        .description(Some(description));
    ArrayBuilder::new()
        .items(name)
        .min_items(Some(1))
        .max_items(Some(most))
        .build()
}

/// A person by number or LID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact(pub Recipient);

/// Why a text names no contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidContact {
    /// It names nothing.
    #[error(transparent)]
    Invalid(#[from] InvalidRecipient),
    /// It names a group.
    #[error("must name a person, not a group")]
    Group,
}

impl FromStr for Contact {
    type Err = InvalidContact;

    fn from_str(text: &str) -> Result<Self, InvalidContact> {
        match text.parse::<Recipient>()? {
            person @ (Recipient::Phone(_) | Recipient::Lid(_)) => Ok(Self(person)),
            Recipient::Group(_) | Recipient::Status | Recipient::Unknown(_) => Err(InvalidContact::Group),
        }
    }
}

impl PartialSchema for Contact {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(
                r"^(\+?[1-9][0-9]{6,14}|[1-9][0-9]{6,14}@(s\.whatsapp\.net|c\.us)|lid:[0-9]{5,20}|[0-9]{5,20}@lid)$",
            ))
            .examples(["15550100001"])
            .description(Some("A phone number in E.164 with or without `+`, `lid:` and digits, or a person's WhatsApp JID"))
            .into()
    }
}

impl ToSchema for Contact {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Contact")
    }
}
