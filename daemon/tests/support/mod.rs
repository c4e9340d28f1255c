//! What several suites stand on: an embedded DynamoDB, a table in it, and a sealer.

use std::path::Path;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use chrono::DateTime;
use shared::clock::SteppedClock;
use shared::seal::{FileKeyWrapper, Sealer};
use shared::storage::Table;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A DynamoDB in memory: its endpoint, and what ends it when dropped.
pub async fn database() -> (String, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let database = dynoxide::Database::memory().expect("opened");
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(async move { dynoxide::server::serve_with_shutdown(listener, database, stopped).await });
    (format!("http://{address}"), stop.drop_guard())
}

/// The table behind an endpoint, created where it is absent.
pub async fn table(endpoint: &str) -> Table {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            "id", "secret", None, None, "test",
        )))
        .build();
    let table = Table::new(&config, "waxwing");
    table.create_if_absent().await.expect("created");
    table
}

/// A sealer with its key file in this directory.
pub fn sealer(table: &Table, directory: &Path) -> Arc<Sealer> {
    let wrapper = FileKeyWrapper::open(&directory.join("master.key")).expect("a key file");
    Arc::new(Sealer::new(table.clone(), Arc::new(wrapper)))
}

/// A clock that stands at the beginning of 2026.
pub fn clock() -> SteppedClock {
    SteppedClock::at(DateTime::from_timestamp(1_767_225_600, 0).expect("in range"))
}
