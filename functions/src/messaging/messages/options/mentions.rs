//! The option `mentions`: whom a message calls.

use shared::domain::content::MAX_MENTIONS;
use shared::domain::recipient::Recipient;
use utoipa::ToSchema as _;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{Array, ArrayBuilder, SchemaType, Type};

use crate::http::Fields;

pub fn schema() -> Array {
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(Ref::from_schema_name(Recipient::name()))
        .max_items(Some(MAX_MENTIONS))
        .description(Some(
            "People whom the message calls. The app of each shows that where the text has their number, as it stands \
             here, after an `@`",
        ))
        .examples([serde_json::json!(["15550100001"])])
        .build()
}

/// The people named, each once; faults go to `fields`.
pub fn check(given: &[String], fields: &mut Fields) -> Vec<Recipient> {
    if given.len() > MAX_MENTIONS {
        fields.fault("mentions", format!("must have {MAX_MENTIONS} people at most"));
        return Vec::new();
    }
    let mut people = Vec::new();
    for (index, name) in given.iter().enumerate() {
        let field = format!("mentions[{index}]");
        match fields.parse::<Recipient>(&*field, name) {
            Some(Recipient::Group(_) | Recipient::Status | Recipient::Unknown(_)) => {
                fields.fault(field, "must be a person, not a group");
            }
            Some(person) if !people.contains(&person) => people.push(person),
            _ => {}
        }
    }
    people
}
