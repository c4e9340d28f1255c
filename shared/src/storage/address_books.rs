//! The address books of instances' phones: names, so they rest sealed.
//!
//! A book is in [`PARTS`] items, each with the contacts that a hash of their names puts there. The first synchronisation brings
//! thousands of contacts of some hundred bytes: an item for each would take a write unit for each. The daemon that serves the
//! instance is the only one that writes, under its lease's fence; functions read.

use sha2::{Digest as _, Sha256};

use super::error::{StorageError, classify};
use super::item::{Reader, n, s};
use super::keys;
use super::outcome::condition_failed;
use super::table::Table;
use crate::domain::recipient::Recipient;
use crate::ids::InstanceId;

/// How many parts a book has.
pub const PARTS: u8 = 64;

/// How many parts are read at a time.
const AT_A_TIME: i32 = 8;

/// What came of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is stored.
    Done,
    /// A newer owner of the shard has written: this one must stop.
    Fenced,
}

/// A part of a book: its number, and its contacts as a sealed list in the order of their keys' JIDs.
pub type Part = (u8, String);

/// The address books of the table.
#[derive(Debug, Clone)]
pub struct AddressBooks {
    table: Table,
}

/// The part of a book that a contact is in.
pub fn part_of(contact: &Recipient) -> u8 {
    Sha256::digest(contact.to_jid())[0] % PARTS
}

impl AddressBooks {
    /// The books of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// A part of a book, sealed. A read unit for each 4 KiB.
    pub async fn get(&self, instance: InstanceId, part: u8) -> Result<Option<String>, StorageError> {
        let found = self.table.get(&keys::book_part(instance, part)).await?;
        let sealed = found
            .as_ref()
            .map(|item| Reader::new("address book", item).str("sealed"));
        Ok(sealed.transpose()?.map(str::to_owned))
    }

    /// Stores a part, as the owner with lease `token`. A write unit for each KiB.
    pub async fn put(
        &self,
        instance: InstanceId,
        token: u64,
        part: u8,
        sealed: &str,
    ) -> Result<Written, StorageError> {
        let mut item = keys::book_part(instance, part).attributes();
        item.insert("sealed".to_owned(), s(sealed));
        item.insert("fence".to_owned(), n(token));
        let sent = self
            .table
            .put(item)
            .condition_expression("attribute_not_exists(fence) OR fence <= :token")
            .expression_attribute_values(":token", n(token))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Written::Done),
            Err(error) if condition_failed(&error) => Ok(Written::Fenced),
            Err(error) => Err(classify(error)),
        }
    }

    /// The next parts of a book from this one on, as they were a moment ago, and the number after the last that was looked
    /// at; `None` behind the end. Half a read unit for each 4 KiB.
    pub async fn list(
        &self,
        instance: InstanceId,
        from: u8,
    ) -> Result<(Vec<Part>, Option<u8>), StorageError> {
        let sent = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .key_condition_expression("pk = :pk AND sk >= :from")
            .expression_attribute_values(":pk", s(keys::book_partition(instance)))
            .expression_attribute_values(":from", s(keys::book_part(instance, from).sk))
            .limit(AT_A_TIME)
            .send()
            .await
            .map_err(classify)?;
        let mut parts = Vec::new();
        for item in sent.items() {
            let read = Reader::new("address book", item);
            parts.push((read.parse("sk")?, read.str("sealed")?.to_owned()));
        }
        let last = parts.last().map(|(part, _)| *part);
        let next = last.filter(|_| sent.last_evaluated_key.is_some());
        Ok((parts, next.map(|last| last + 1)))
    }

    /// Forgets a book.
    pub async fn forget(&self, instance: InstanceId) -> Result<(), StorageError> {
        self.table.purge(&keys::book_partition(instance), "").await
    }
}
