//! Typed access to a table item's attributes. Repositories read and write structs, and an error about corrupt data
//! names entity, key and field.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::str::FromStr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, SecondsFormat, Utc};

use super::error::StorageError;
use crate::domain::OrUnknown;

/// An item as the SDK has it.
pub type Item = HashMap<String, AttributeValue>;

/// A string attribute.
pub fn s(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A string attribute from anything that has a text, such as an id.
pub fn text(value: impl Display) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

/// A number attribute.
pub fn n(value: impl Display) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A binary attribute.
pub fn b(value: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// A time, as RFC 3339 text in UTC with milliseconds: it sorts as it reads.
pub fn time(value: DateTime<Utc>) -> AttributeValue {
    AttributeValue::S(value.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// A time in Unix seconds, as the attribute `exp` wants it.
pub fn seconds(value: DateTime<Utc>) -> AttributeValue {
    n(value.timestamp())
}

/// A map of strings.
pub fn strings(value: &BTreeMap<String, String>) -> AttributeValue {
    AttributeValue::M(value.iter().map(|(key, value)| (key.clone(), s(value))).collect())
}

/// A list of strings.
pub fn texts<T: Into<String>>(values: impl IntoIterator<Item = T>) -> AttributeValue {
    AttributeValue::L(values.into_iter().map(s).collect())
}

/// Reads an item's attributes with their types, and names what is corrupt.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    entity: &'static str,
    item: &'a Item,
}

impl<'a> Reader<'a> {
    /// A reader of `item`, which should be an `entity`.
    pub fn new(entity: &'static str, item: &'a Item) -> Self {
        Self { entity, item }
    }

    /// The fault that `field` is missing or of another shape.
    pub fn corrupt(&self, field: &'static str) -> StorageError {
        let part = |name: &str| {
            self.item
                .get(name)
                .and_then(|value| value.as_s().ok())
                .map_or("?", String::as_str)
        };
        StorageError::Corrupt {
            entity: self.entity,
            key: format!("{}/{}", part("pk"), part("sk")),
            field,
        }
    }

    fn required<T>(&self, field: &'static str, value: Option<T>) -> Result<T, StorageError> {
        value.ok_or_else(|| self.corrupt(field))
    }

    /// Text that is there.
    pub fn str(&self, field: &'static str) -> Result<&'a str, StorageError> {
        self.required(field, self.opt_str(field)?)
    }

    /// Text that may be absent.
    pub fn opt_str(&self, field: &'static str) -> Result<Option<&'a str>, StorageError> {
        match self.item.get(field) {
            None | Some(AttributeValue::Null(_)) => Ok(None),
            Some(AttributeValue::S(value)) => Ok(Some(value)),
            Some(_) => Err(self.corrupt(field)),
        }
    }

    /// Text that is there and parses, such as an id or a state.
    pub fn parse<T: FromStr>(&self, field: &'static str) -> Result<T, StorageError> {
        self.required(field, self.opt_parse(field)?)
    }

    /// Text that may be absent and otherwise parses.
    pub fn opt_parse<T: FromStr>(&self, field: &'static str) -> Result<Option<T>, StorageError> {
        let text = self.opt_str(field)?;
        text.map(|text| text.parse().map_err(|_| self.corrupt(field)))
            .transpose()
    }

    /// Text that is there. A value that only a newer version knows reads as unknown, not as corrupt.
    pub fn known<T: OrUnknown>(&self, field: &'static str) -> Result<T, StorageError> {
        Ok(self.str(field)?.parse().unwrap_or(T::UNKNOWN))
    }

    /// A number that is there.
    pub fn number<T: FromStr>(&self, field: &'static str) -> Result<T, StorageError> {
        self.required(field, self.opt_number(field)?)
    }

    /// A number that may be absent.
    pub fn opt_number<T: FromStr>(&self, field: &'static str) -> Result<Option<T>, StorageError> {
        match self.item.get(field) {
            None | Some(AttributeValue::Null(_)) => Ok(None),
            Some(AttributeValue::N(value)) => value.parse().map(Some).map_err(|_| self.corrupt(field)),
            Some(_) => Err(self.corrupt(field)),
        }
    }

    /// A flag; an absent one is `false`.
    pub fn flag(&self, field: &'static str) -> Result<bool, StorageError> {
        match self.item.get(field) {
            None => Ok(false),
            Some(AttributeValue::Bool(value)) => Ok(*value),
            Some(_) => Err(self.corrupt(field)),
        }
    }

    /// A time that is there.
    pub fn time(&self, field: &'static str) -> Result<DateTime<Utc>, StorageError> {
        self.required(field, self.opt_time(field)?)
    }

    /// A time that may be absent.
    pub fn opt_time(&self, field: &'static str) -> Result<Option<DateTime<Utc>>, StorageError> {
        let text = self.opt_str(field)?;
        text.map(|text| {
            DateTime::parse_from_rfc3339(text)
                .map(|time| time.to_utc())
                .map_err(|_| self.corrupt(field))
        })
        .transpose()
    }

    /// Bytes that are there.
    pub fn bytes(&self, field: &'static str) -> Result<&'a [u8], StorageError> {
        self.required(field, self.opt_bytes(field)?)
    }

    /// Bytes that may be absent.
    pub fn opt_bytes(&self, field: &'static str) -> Result<Option<&'a [u8]>, StorageError> {
        match self.item.get(field) {
            None => Ok(None),
            Some(AttributeValue::B(value)) => Ok(Some(value.as_ref())),
            Some(_) => Err(self.corrupt(field)),
        }
    }

    /// A map of strings; an absent one is empty.
    pub fn strings(&self, field: &'static str) -> Result<BTreeMap<String, String>, StorageError> {
        match self.item.get(field) {
            None => Ok(BTreeMap::new()),
            Some(AttributeValue::M(map)) => map
                .iter()
                .map(|(key, value)| match value {
                    AttributeValue::S(value) => Ok((key.clone(), value.clone())),
                    _ => Err(self.corrupt(field)),
                })
                .collect(),
            Some(_) => Err(self.corrupt(field)),
        }
    }

    /// A list of strings; an absent one is empty.
    pub fn list(&self, field: &'static str) -> Result<Vec<&'a str>, StorageError> {
        match self.item.get(field) {
            None => Ok(Vec::new()),
            Some(AttributeValue::L(list)) => list
                .iter()
                .map(|value| value.as_s().map(String::as_str).map_err(|_| self.corrupt(field)))
                .collect(),
            Some(_) => Err(self.corrupt(field)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::State;

    #[test]
    fn what_a_newer_version_has_stored_is_unknown_and_not_corrupt() {
        let item = Item::from([("state".to_owned(), s("levitating")), ("rank".to_owned(), n(1))]);
        let read = Reader::new("message", &item);
        assert_eq!(read.known::<State>("state").expect("read"), State::Unknown);
        assert!(read.known::<State>("rank").is_err(), "no text");
        assert!(read.known::<State>("sort").is_err(), "not there");
        assert!("unknown".parse::<State>().is_err() && !State::ALL.contains(&State::Unknown));
    }

    #[test]
    fn a_fault_names_entity_key_and_field() {
        let item = Item::from([
            ("pk".to_owned(), s("inst#1")),
            ("sk".to_owned(), s("meta")),
            ("shard".to_owned(), s("four")),
        ]);
        let error = Reader::new("instance", &item)
            .number::<u32>("shard")
            .expect_err("it is a string");
        assert_eq!(
            error.to_string(),
            "stored instance inst#1/meta is corrupt at shard"
        );
    }
}
