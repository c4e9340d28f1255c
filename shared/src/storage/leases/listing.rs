//! Items that are read at once. One that cannot be read costs itself alone.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use aws_sdk_dynamodb::types::AttributeValue;
use tracing::debug;

use crate::domain::shard::Shard;
use crate::storage::error::StorageError;
use crate::storage::item::Item;
use crate::storage::keys;
use crate::telemetry::chain;

/// The items of a partition.
#[derive(Debug)]
pub struct Listing<T> {
    /// Those that can be read.
    pub items: Vec<T>,
    /// The others: a newer version has written them, or a person.
    pub unreadable: Vec<Unreadable>,
}

/// An item that does not have the shape that its reader knows.
#[derive(Debug)]
pub struct Unreadable {
    /// Its sort key.
    pub sk: String,
    /// What is wrong with it.
    pub error: StorageError,
    /// A number for all that is in it: two reads of an item that rests find the same one.
    pub mark: u64,
}

impl<T> Listing<T> {
    pub(super) fn read(items: &[Item], read: impl Fn(&Item) -> Result<T, StorageError>) -> Self {
        let mut listing = Self {
            items: Vec::with_capacity(items.len()),
            unreadable: Vec::new(),
        };
        for item in items {
            match read(item) {
                Ok(read) => listing.items.push(read),
                Err(error) => {
                    let sk = item.get("sk").and_then(|sk| sk.as_s().ok());
                    listing.unreadable.push(Unreadable {
                        sk: sk.cloned().unwrap_or_default(),
                        error,
                        mark: mark(item),
                    });
                }
            }
        }
        listing
    }

    /// What can be read. The rest is logged.
    pub(super) fn readable(self) -> Vec<T> {
        for Unreadable { error, .. } in &self.unreadable {
            debug!(error = %chain(error), "an item that cannot be read is left out");
        }
        self.items
    }
}

impl Unreadable {
    /// The shard, where this is a lease.
    pub fn shard(&self) -> Option<Shard> {
        keys::shard_of_lease(&self.sk)
    }
}

fn mark(item: &Item) -> u64 {
    let mut hasher = DefaultHasher::new();
    hash_attributes(item, &mut hasher);
    hasher.finish()
}

/// Attributes come in another order with each read.
fn hash_attributes(attributes: &Item, hasher: &mut DefaultHasher) {
    let ordered: BTreeMap<&String, &AttributeValue> = attributes.iter().collect();
    for (name, value) in ordered {
        name.hash(hasher);
        hash_value(value, hasher);
    }
}

fn hash_value(value: &AttributeValue, hasher: &mut DefaultHasher) {
    match value {
        AttributeValue::M(attributes) => hash_attributes(attributes, hasher),
        AttributeValue::L(values) => {
            for value in values {
                hash_value(value, hasher);
            }
        }
        value => format!("{value:?}").hash(hasher),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::network::Network;
    use crate::storage::item::{Reader, n, s};

    #[test]
    fn what_cannot_be_read_costs_itself_alone() {
        let item = |shard, token| {
            let mut item = keys::lease(Network::Live, Shard(shard)).attributes();
            item.insert("token".to_owned(), token);
            item
        };
        let items = [item(0, n(1)), item(12, s("two")), item(2, n(3))];
        let listing = Listing::read(&items, |item| Reader::new("lease", item).number::<u64>("token"));
        assert_eq!(listing.items, [1, 3]);
        let shards: Vec<_> = listing.unreadable.iter().map(Unreadable::shard).collect();
        assert_eq!(shards, [Some(Shard(12))]);
        assert_eq!(listing.readable(), [1, 3]);
    }

    #[test]
    fn what_cannot_be_read_has_a_mark_of_its_content() {
        let mark = |token: &str, inner: &str| {
            let mut item = keys::lease(Network::Live, Shard(0)).attributes();
            item.insert("token".to_owned(), s(token));
            let attributes = (0..20).map(|number| (format!("a{number}"), s(inner)));
            item.insert(
                "inner".to_owned(),
                AttributeValue::L(vec![AttributeValue::M(attributes.collect())]),
            );
            let listing = Listing::read(&[item], |item| Reader::new("lease", item).number::<u64>("token"));
            listing.unreadable[0].mark
        };
        assert_eq!(mark("two", "x"), mark("two", "x"));
        assert_ne!(mark("two", "x"), mark("three", "x"));
        assert_ne!(mark("two", "x"), mark("two", "y"));
    }
}
