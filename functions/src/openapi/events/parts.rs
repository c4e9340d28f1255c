//! What schemas of events are made of.

use utoipa::ToSchema;
use utoipa::openapi::schema::{
    ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{KnownFormat, Ref, RefOr};

/// A schema that stands where it is used.
pub type Part = RefOr<Schema>;

/// An object with all of these members.
pub fn object(parts: impl IntoIterator<Item = (&'static str, Part)>) -> Part {
    let object = ObjectBuilder::new().schema_type(Type::Object);
    let members = parts.into_iter().fold(object, |object, (name, part)| {
        object.property(name, part).required(name)
    });
    members.into()
}

/// An object with any of these members.
pub fn members(parts: impl IntoIterator<Item = (&'static str, Part)>) -> Part {
    let object = ObjectBuilder::new().schema_type(Type::Object);
    let members = parts
        .into_iter()
        .fold(object, |object, (name, part)| object.property(name, part));
    members.into()
}

pub fn reference(name: &str) -> Part {
    Ref::from_schema_name(name).into()
}

pub fn named<T: ToSchema>() -> Part {
    reference(&T::name())
}

pub fn or_none(part: Part) -> Part {
    OneOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .item(part)
        .into()
}

pub fn list(part: Part) -> Part {
    ArrayBuilder::new().items(part).into()
}

pub fn list_or_none(part: Part) -> Part {
    ArrayBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Array, Type::Null]))
        .items(part)
        .into()
}

pub fn text(example: &str) -> Part {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .examples([example])
        .into()
}

pub fn text_or_none(example: &str) -> Part {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .examples([example])
        .into()
}

pub fn none_of_text() -> Part {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .examples([serde_json::Value::Null])
        .into()
}

pub fn one_of<const N: usize>(words: [&'static str; N]) -> Part {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .into()
}

pub fn flag() -> Part {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .examples([false])
        .into()
}

pub fn number() -> Part {
    ObjectBuilder::new().schema_type(Type::Integer).into()
}

pub fn number_or_none() -> Part {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Integer, Type::Null]))
        .examples([serde_json::Value::Null])
        .into()
}

pub fn degrees(example: f64) -> Part {
    ObjectBuilder::new()
        .schema_type(Type::Number)
        .examples([example])
        .into()
}

pub fn time() -> Part {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples(["2026-01-01T10:00:00Z"])
        .into()
}

pub fn time_or_none() -> Part {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        .examples(["2026-01-01T10:00:00.412Z"])
        .into()
}
