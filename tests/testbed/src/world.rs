//! A table, a clock and keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use shared::clock::{Clock as _, SteppedClock};
use shared::seal::{FileKeyWrapper, Sealer};
use shared::storage::Table;
use shared::storage::item::Item;
use shared::storage::keys::Key;
use tempfile::TempDir;

use crate::table::{Database, items};

/// What is stored and what time it is. A suite's own world has one of these and adds whom the suite is about.
#[derive(Debug)]
pub struct World {
    /// The table's server.
    pub database: Database,
    /// The table, past all relays.
    pub table: Table,
    /// The time of day, which moves when the test says so.
    pub clock: SteppedClock,
    /// The wrapping key.
    pub keys: Keys,
}

impl World {
    /// An empty table at the beginning of 2026.
    pub async fn new() -> Self {
        let database = Database::start().await;
        Self {
            table: database.table(),
            database,
            clock: clock(),
            keys: Keys::new(),
        }
    }

    /// The time of day.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A sealer of its own, as another process has.
    pub fn sealer(&self) -> Sealer {
        self.keys.sealer(&self.table)
    }

    /// An item as it rests.
    pub async fn item(&self, key: &Key) -> Option<Item> {
        let request = self.table.client().get_item().table_name(self.table.name());
        let read = request.set_key(Some(key.attributes())).send().await;
        read.expect("read").item
    }

    /// Writes an item past everything.
    pub async fn put_item(&self, item: Item) {
        let request = self.table.client().put_item().table_name(self.table.name());
        request.set_item(Some(item)).send().await.expect("written");
    }

    /// Sets a member of an item past everything.
    pub async fn set(&self, key: &Key, name: &str, value: AttributeValue) {
        let request = self.table.client().update_item().table_name(self.table.name());
        let stored = request
            .set_key(Some(key.attributes()))
            .update_expression("SET #name = :value")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", value)
            .send();
        stored.await.expect("stored");
    }

    /// Removes an item past everything.
    pub async fn remove_item(&self, key: &Key) {
        let request = self.table.client().delete_item().table_name(self.table.name());
        let removed = request.set_key(Some(key.attributes())).send().await;
        removed.expect("removed");
    }

    /// Every item of the table, by its key.
    pub async fn items(&self) -> BTreeMap<(String, String), Item> {
        items(&self.table).await
    }
}

/// A clock that stands at the beginning of 2026.
pub fn clock() -> SteppedClock {
    SteppedClock::at(DateTime::from_timestamp(1_767_225_600, 0).expect("in range"))
}

/// A wrapping key in a file of its own. The file goes with this.
#[derive(Debug)]
pub struct Keys(TempDir);

impl Keys {
    /// A file that is made when it is first used.
    #[expect(clippy::new_without_default, reason = "it makes a directory")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    /// The directory of the file, where the test may put more.
    pub fn directory(&self) -> &Path {
        self.0.path()
    }

    /// The file.
    pub fn file(&self) -> PathBuf {
        self.directory().join("wrapping.key")
    }

    /// The key.
    pub fn wrapper(&self) -> Arc<FileKeyWrapper> {
        Arc::new(FileKeyWrapper::open(&self.file()).expect("a key file"))
    }

    /// What seals and opens under it, with data keys in this table.
    pub fn sealer(&self, table: &Table) -> Sealer {
        Sealer::new(table.clone(), self.wrapper())
    }
}
