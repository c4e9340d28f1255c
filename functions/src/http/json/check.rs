//! Checks a body against its schema in the document.

use std::fmt::Write as _;

use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, Array, ArrayItems, Object, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::{Number, ToSchema};

use super::known::{Known, Schemas};
use super::strict::Path;
use super::{knows, texts};
use crate::http::fields::Fields;

/// Notes every member of a body of type `T` that is missing, unknown, `null` or of the wrong type. If there is any,
/// texts that their parsers refuse and numbers beyond their bounds are noted as well. Otherwise the handler notes
/// those; but with such a member it is not called.
pub fn body<T: DeserializeOwned + ToSchema + 'static>(value: &Value, fields: &mut Fields) {
    let known = Known::of::<T>();
    let mut found = Check::new(&known.all);
    found.value(&known.schema, value, &Path::Root);
    let mut unserved = Vec::new();
    if let (RefOr::T(Schema::Object(object)), Value::Object(members)) = (&known.schema, value) {
        // A member that only a later version will serve is known to the type, and is not in the document.
        let beside = members
            .iter()
            .filter(|(name, _)| !object.properties.contains_key(*name));
        for (name, value) in beside {
            if !knows::<T>(name) {
                found.shape.push((name.clone(), "is unknown".to_owned()));
            } else if value.is_null() {
                found.none(&Path::Member(&Path::Root, name));
            } else {
                unserved.push(name);
            }
        }
    }
    if found.shape.is_empty() && fields.is_empty() {
        return;
    }
    found.tell(fields);
    for name in unserved {
        fields.unserved(name, true);
    }
}

/// What is wrong with the text of a parameter, as far as its schema tells.
pub fn parameter(schema: &RefOr<Schema>, text: &str, all: &Schemas) -> Option<String> {
    let itself = match schema {
        RefOr::Ref(reference) => all.get(component(&reference.ref_location))?,
        itself @ RefOr::T(_) => itself,
    };
    if let RefOr::T(Schema::Object(object)) = itself
        && object.schema_type == SchemaType::Type(Type::Integer)
    {
        let is_fine = text
            .parse::<u64>()
            .is_ok_and(|number| is_within(object, &number.into()));
        return (!is_fine).then(|| rule(&Type::Integer, object));
    }
    let mut found = Check::new(all);
    found.value(schema, &Value::from(text), &Path::Root);
    let mut faults = found
        .shape
        .into_iter()
        .chain(found.texts.into_iter().map(|(_, fault)| fault));
    faults.next().map(|(_, message)| message)
}

/// What is wrong with a value that we tell ourselves.
#[cfg(test)]
pub(crate) fn faults(schema: &RefOr<Schema>, value: &Value, all: &Schemas) -> Vec<String> {
    let mut found = Check::new(all);
    found.value(schema, value, &Path::Root);
    let texts = found.texts.into_iter().map(|(_, fault)| fault);
    let all = found.shape.into_iter().chain(texts);
    all.map(|(field, message)| format!("{field} {message}")).collect()
}

struct Check<'a> {
    all: &'a Schemas,
    /// Members of another shape, each with its message.
    shape: Vec<(String, String)>,
    /// Texts that their parsers refuse and numbers beyond their bounds, each with the number of faults of shape before it.
    texts: Vec<(usize, (String, String))>,
}

impl<'a> Check<'a> {
    fn new(all: &'a Schemas) -> Self {
        Self {
            all,
            shape: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// Notes all faults in the order in which they were found.
    fn tell(self, fields: &mut Fields) {
        let mut texts = self.texts.into_iter().peekable();
        let mut shape = self.shape.into_iter().enumerate();
        loop {
            let next = shape.next();
            let number = next.as_ref().map_or(usize::MAX, |(number, _)| *number);
            while let Some((_, (field, message))) = texts.next_if(|(before, _)| *before <= number) {
                fields.fault(field, message);
            }
            let Some((_, (field, message))) = next else {
                return;
            };
            fields.fault(field, message);
        }
    }

    fn wrong(&mut self, at: &Path<'_>, message: impl Into<String>) {
        self.shape.push((name(at), message.into()));
    }

    fn value(&mut self, schema: &RefOr<Schema>, value: &Value, at: &Path<'_>) {
        let schema = match schema {
            RefOr::T(schema) => schema,
            RefOr::Ref(reference) => {
                let name = component(&reference.ref_location);
                let all = self.all;
                // The type's own words come before those about lengths.
                let fault = value.as_str().and_then(|text| texts::ask(name, text));
                self.text(at, fault);
                if let Some(schema) = all.get(name) {
                    self.value(schema, value, at);
                }
                return;
            }
        };
        match schema {
            Schema::Object(object) => self.object(object, value, at),
            Schema::Array(array) => self.array(array, value, at),
            Schema::OneOf(choice) => self.choice(&choice.items, value, at),
            Schema::AnyOf(choice) => self.choice(&choice.items, value, at),
            Schema::AllOf(parts) => {
                for part in &parts.items {
                    self.value(part, value, at);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, at: &Path<'_>, fault: Option<String>) {
        // A parser may have been asked by its name already.
        if let Some(fault) = fault
            && self.texts.last().is_none_or(|(_, (field, _))| *field != name(at))
        {
            self.texts.push((self.shape.len(), (name(at), fault)));
        }
    }

    fn object(&mut self, object: &Object, value: &Value, at: &Path<'_>) {
        let Some(kind) = self.kind(&object.schema_type, value, at) else {
            return;
        };
        let is_fine = match (&kind, value) {
            (Type::Object, Value::Object(_))
            | (Type::Boolean, Value::Bool(_))
            | (Type::Number, Value::Number(_)) => true,
            (Type::String, Value::String(text)) => {
                let fault = refused(object, text);
                self.text(at, fault);
                true
            }
            // To JSON Schema `60.0` is an integer as `60` is.
            (Type::Integer, Value::Number(number)) if is_whole(number) => {
                let fault = (!is_within(object, number)).then(|| rule(&kind, object));
                self.text(at, fault);
                true
            }
            _ => false,
        };
        if !is_fine {
            let mut rule = rule(&kind, object);
            if let (Type::Object, Path::Member(..), Some(example)) = (&kind, at, &object.example) {
                // Writing to a text does not fail.
                let _ = write!(rule, " such as {example}");
            }
            self.wrong(at, rule);
            return;
        }
        let Value::Object(members) = value else {
            return;
        };
        for (name, schema) in &object.properties {
            let at = Path::Member(at, name);
            match members.get(name) {
                Some(value) => self.value(schema, value, &at),
                None if object.required.contains(name) => self.wrong(&at, "is missing"),
                None => {}
            }
        }
        let beside = members
            .iter()
            .filter(|(name, _)| !object.properties.contains_key(*name));
        match object.additional_properties.as_deref() {
            Some(AdditionalProperties::RefOr(schema)) => {
                for (name, value) in beside {
                    self.value(schema, value, &Path::Member(at, name));
                }
            }
            // Unknown members of the body itself are left to the caller.
            Some(AdditionalProperties::FreeForm(false)) if !matches!(at, Path::Root) => {
                for (name, _) in beside {
                    self.wrong(&Path::Member(at, name), "is unknown");
                }
            }
            _ => {}
        }
    }

    fn array(&mut self, array: &Array, value: &Value, at: &Path<'_>) {
        if self.kind(&array.schema_type, value, at).is_none() {
            return;
        }
        let Value::Array(items) = value else {
            self.wrong(at, "must be a list");
            return;
        };
        if let ArrayItems::RefOrSchema(schema) = &array.items {
            for (index, item) in items.iter().enumerate() {
                self.value(schema, item, &Path::Item(at, index));
            }
        }
    }

    /// The one type, besides null, that a value should have. `None` where the value is null, or any type will do.
    fn kind(&mut self, types: &SchemaType, value: &Value, at: &Path<'_>) -> Option<Type> {
        let types = match types {
            SchemaType::Type(kind) => std::slice::from_ref(kind),
            SchemaType::Array(kinds) => kinds,
            SchemaType::AnyValue => return None,
        };
        if value.is_null() {
            if !types.contains(&Type::Null) {
                self.none(at);
            }
            return None;
        }
        types.iter().find(|kind| **kind != Type::Null).cloned()
    }

    fn none(&mut self, at: &Path<'_>) {
        let message = match at {
            Path::Root => "must be an object",
            _ => "must not be null",
        };
        self.wrong(at, message);
    }

    /// Checks a value that may be of one of several types, null among them.
    fn choice(&mut self, items: &[RefOr<Schema>], value: &Value, at: &Path<'_>) {
        let is_none = |schema: &RefOr<Schema>| matches!(schema, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(Type::Null));
        if value.is_null() {
            if !items.iter().any(is_none) {
                self.none(at);
            }
            return;
        }
        let choices: Vec<_> = items.iter().filter(|item| !is_none(item)).collect();
        if let [only] = *choices {
            return self.value(only, value, at);
        }
        let fits = choices.iter().any(|choice| {
            let mut check = Check::new(self.all);
            check.value(choice, value, at);
            check.shape.is_empty()
        });
        if !fits {
            self.wrong(at, "is of none of the types that it may have");
        }
    }
}

/// The name of the schema that a reference leads to.
fn component(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or_default()
}

/// A member's name in a fault: the body itself has none of its own.
fn name(at: &Path<'_>) -> String {
    match at {
        Path::Root => "body".to_owned(),
        _ => at.to_string(),
    }
}

/// What is wrong with a text, as far as its schema tells it in words for people.
fn refused(object: &Object, text: &str) -> Option<String> {
    let wanted = known_texts(object);
    if !wanted.is_empty() && !wanted.contains(&text) {
        return Some(one_of(&wanted));
    }
    if let Some(fault) = object
        .format
        .as_ref()
        .and_then(|format| texts::ask_format(&format_name(format), text))
    {
        return Some(fault);
    }
    // For a pattern the type's parser has better words.
    if object.pattern.is_some() {
        return None;
    }
    let (least, most) = (object.min_length?, object.max_length?);
    let length = text.chars().count();
    (!(least..=most).contains(&length)).then(|| format!("must have {least} to {most} characters"))
}

/// The texts that there are, where a text is one of some.
fn known_texts(object: &Object) -> Vec<&str> {
    let texts = object.enum_values.iter().flatten();
    texts.filter_map(Value::as_str).collect()
}

fn one_of(texts: &[&str]) -> String {
    format!("must be one of {}", texts.join(", "))
}

fn format_name(format: &SchemaFormat) -> String {
    match format {
        SchemaFormat::Custom(name) => name.clone(),
        SchemaFormat::KnownFormat(_) => {
            let name = serde_json::to_value(format).ok();
            let name = name.as_ref().and_then(Value::as_str);
            name.unwrap_or_default().to_owned()
        }
    }
}

fn bound(number: &Number) -> f64 {
    match number {
        Number::Float(number) => *number,
        #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
        Number::Int(number) => *number as f64,
        #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
        Number::UInt(number) => *number as f64,
    }
}

/// Whether a number is whole and small enough for a handler, which checks the bounds itself.
fn is_whole(number: &serde_json::Number) -> bool {
    let range = 0.0..=f64::from(u32::MAX);
    number
        .as_f64()
        .is_some_and(|number| number.fract() == 0.0 && range.contains(&number))
}

fn is_within(object: &Object, number: &serde_json::Number) -> bool {
    let number = number.as_f64().unwrap_or(f64::INFINITY);
    let above = |least: &Number| bound(least) <= number;
    let below = |most: &Number| number <= bound(most);
    object.minimum.as_ref().is_none_or(above) && object.maximum.as_ref().is_none_or(below)
}

/// What a value of this type must be.
fn rule(kind: &Type, object: &Object) -> String {
    let wanted = known_texts(object);
    if *kind == Type::String && !wanted.is_empty() {
        return one_of(&wanted);
    }
    let mut rule = match kind {
        Type::String => "must be a string",
        Type::Integer => "must be a whole number",
        Type::Number => "must be a number",
        Type::Boolean => "must be true or false",
        Type::Object => "must be an object",
        Type::Array => "must be a list",
        Type::Null => "must be null",
    }
    .to_owned();
    if let (Type::Integer | Type::Number, Some(least), Some(most)) = (kind, &object.minimum, &object.maximum)
    {
        let (least, most) = (bound(least), bound(most));
        // Writing to a text does not fail.
        let _ = write!(rule, " from {least} to {most}");
    }
    rule
}
