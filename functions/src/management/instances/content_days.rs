//! The rules of an instance's `contentDays`.

use shared::domain::instance::MAX_CONTENT_DAYS;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::http::{Fields, Whole};

/// What the document tells of it.
pub fn schema() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .maximum(Some(MAX_CONTENT_DAYS))
        .description(Some(
            "For how many days the content of messages is kept, sealed, after they were sent or came: for forwarding and for \
             quotes. 0, as it is where nothing is said, for not at all. A lower number counts for what is kept already",
        ))
        .examples([7])
        .build()
}

/// The number; notes what is wrong with it where it is none.
pub fn check(fields: &mut Fields, value: Whole) -> u8 {
    let number = u8::try_from(value.0).ok();
    let number = number.filter(|number| *number <= MAX_CONTENT_DAYS);
    if number.is_none() {
        fields.fault(
            "contentDays",
            format!("must be a whole number from 0 to {MAX_CONTENT_DAYS}"),
        );
    }
    number.unwrap_or_default()
}
