//! The rules of an instance's `messagesPerMinute`.

use shared::domain::instance::MAX_MESSAGES_PER_MINUTE;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};

use crate::http::{Fields, Whole};

/// What the document tells of it.
pub fn schema() -> Object {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
        .minimum(Some(1))
        .maximum(Some(MAX_MESSAGES_PER_MINUTE))
        .description(Some(
            "How many messages the instance sends in a minute at most, spread over it with some jitter; one to somebody \
             whom it has never written to counts as four. As many as it can where it is not there",
        ))
        .examples([20])
        .build()
}

/// The number, where it is one; notes what is wrong with it else.
pub fn check(fields: &mut Fields, value: Whole) -> Option<u16> {
    let number = u16::try_from(value.0).ok();
    let number = number.filter(|number| (1..=MAX_MESSAGES_PER_MINUTE).contains(number));
    if number.is_none() {
        fields.fault(
            "messagesPerMinute",
            format!("must be a whole number from 1 to {MAX_MESSAGES_PER_MINUTE}"),
        );
    }
    number
}
