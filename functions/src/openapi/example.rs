//! Examples, put together from those of a schema's parts. So no endpoint has to write any, and none can be out of
//! date.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, Object, Schema, SchemaType, Type};

/// Schemas by their names.
pub type Schemas = BTreeMap<String, RefOr<Schema>>;

/// A value that the schema allows: its own example, or one of its parts' examples.
pub fn example(schema: &RefOr<Schema>, all: &Schemas) -> Value {
    let schema = match schema {
        RefOr::T(schema) => schema,
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next().unwrap_or_default();
            return all.get(name).map_or(Value::Null, |schema| example(schema, all));
        }
    };
    match schema {
        Schema::Object(object) => of_object(object, all),
        Schema::Array(array) => {
            let item = match &array.items {
                ArrayItems::RefOrSchema(item) => example(item, all),
                ArrayItems::False => return json!([]),
            };
            own(array.example.as_ref(), &array.examples).unwrap_or_else(|| json!([item]))
        }
        Schema::OneOf(choice) => {
            own(choice.example.as_ref(), &choice.examples).unwrap_or_else(|| first(&choice.items, all))
        }
        Schema::AnyOf(choice) => {
            own(choice.example.as_ref(), &choice.examples).unwrap_or_else(|| first(&choice.items, all))
        }
        Schema::AllOf(parts) => own(parts.example.as_ref(), &parts.examples).unwrap_or_else(|| {
            let parts = parts.items.iter().map(|part| example(part, all));
            let members = parts.filter_map(|part| match part {
                Value::Object(members) => Some(members),
                _ => None,
            });
            Value::Object(members.flatten().collect())
        }),
        _ => Value::Null,
    }
}

fn own(example: Option<&Value>, examples: &[Value]) -> Option<Value> {
    examples.first().or(example).cloned()
}

/// The first choice that is a value at all.
fn first(items: &[RefOr<Schema>], all: &Schemas) -> Value {
    let values = items.iter().map(|item| example(item, all));
    values
        .into_iter()
        .find(|value| !value.is_null())
        .unwrap_or_default()
}

fn of_object(object: &Object, all: &Schemas) -> Value {
    if let Some(value) = own(object.example.as_ref(), &object.examples) {
        return value;
    }
    if let Some(value) = object
        .default
        .as_ref()
        .or_else(|| object.enum_values.as_ref()?.first())
    {
        return value.clone();
    }
    let kind = match &object.schema_type {
        SchemaType::Type(kind) => kind,
        SchemaType::Array(kinds) => kinds
            .iter()
            .find(|kind| **kind != Type::Null)
            .unwrap_or(&Type::Null),
        SchemaType::AnyValue => return Value::Null,
    };
    match kind {
        Type::Object => {
            let members = object
                .properties
                .iter()
                .map(|(name, schema)| (name.clone(), example(schema, all)));
            let mut members: Map<_, _> = members.collect();
            if let Some(AdditionalProperties::RefOr(schema)) = object.additional_properties.as_deref()
                && let Some(names) = object.property_names.as_deref()
                && let Value::String(name) = example(&RefOr::T(names.clone()), all)
            {
                members.insert(name, example(schema, all));
            }
            Value::Object(members)
        }
        Type::Boolean => json!(true),
        Type::Integer | Type::Number => json!(1),
        Type::String => json!("text"),
        Type::Array => json!([]),
        Type::Null => Value::Null,
    }
}
