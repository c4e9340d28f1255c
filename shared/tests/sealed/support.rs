//! A table in an embedded DynamoDB on the loopback interface.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::DateTime;
use shared::clock::SteppedClock;
use shared::ids::InstanceId;
use shared::seal::{FileKeyWrapper, Sealer};
use shared::storage::Table;
use shared::storage::keys::Key;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A table and what makes and reads sealed values in it. Its server ends with it.
pub struct World {
    pub table: Table,
    pub clock: SteppedClock,
    pub instance: InstanceId,
    directory: TempDir,
    _server: DropGuard,
}

impl World {
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let database = dynoxide::Database::memory().expect("opened");
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move { dynoxide::server::serve_with_shutdown(listener, database, stopped).await });
        let table = Table::new(&shared::aws::stand_in(&format!("http://{address}")), "waxwing");
        table.create_if_absent().await.expect("created");
        let clock = SteppedClock::at(DateTime::from_timestamp(1_767_225_600, 0).expect("in range"));
        Self {
            table,
            clock,
            instance: InstanceId::from_bytes([1; 16]),
            directory: tempfile::tempdir().expect("a directory"),
            _server: stop.drop_guard(),
        }
    }

    /// A sealer of its own, as another process has.
    pub fn sealer(&self) -> Sealer {
        let wrapper = FileKeyWrapper::open(&self.directory.path().join("master.key")).expect("a key file");
        Sealer::new(self.table.clone(), Arc::new(wrapper))
    }

    /// An item as it rests.
    pub async fn raw(&self, key: &Key) -> Option<HashMap<String, AttributeValue>> {
        let request = self.table.client().get_item().table_name(self.table.name());
        request
            .set_key(Some(key.attributes()))
            .send()
            .await
            .expect("read")
            .item
    }

    /// Writes an item past everything.
    pub async fn write_raw(&self, item: HashMap<String, AttributeValue>) {
        let request = self.table.client().put_item().table_name(self.table.name());
        request.set_item(Some(item)).send().await.expect("written");
    }

    /// Removes an item past everything.
    pub async fn remove_raw(&self, key: &Key) {
        let request = self.table.client().delete_item().table_name(self.table.name());
        request
            .set_key(Some(key.attributes()))
            .send()
            .await
            .expect("removed");
    }
}
