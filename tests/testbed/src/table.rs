//! The embedded table's server.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::StalledStreamProtectionConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use shared::clock::{Clock, SystemClock};
use shared::storage::Table;
use shared::storage::item::Item;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::wait::DEADLINE;

/// The table's name.
pub const NAME: &str = "waxwing";

/// A server with an empty table in memory; it ends with this.
pub struct Database {
    /// Where it answers.
    pub endpoint: String,
    engine: dynoxide::Database,
    _server: DropGuard,
}

impl Database {
    /// Starts one.
    pub async fn start() -> Self {
        Self::start_at(Arc::new(SystemClock)).await
    }

    /// Starts one whose items expire by this clock.
    pub async fn start_at(clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let engine = dynoxide::Database::memory_with_clock(Arc::new(Seconds(clock))).expect("opened");
        let stop = CancellationToken::new();
        let (served, stopped) = (engine.clone(), stop.clone().cancelled_owned());
        tokio::spawn(async move { dynoxide::server::serve_with_shutdown(listener, served, stopped).await });
        let database = Self {
            endpoint: format!("http://{address}"),
            engine,
            _server: stop.drop_guard(),
        };
        database.table().create_if_absent().await.expect("created");
        database
    }

    /// Its table, past all relays: see [`patient`].
    pub fn table(&self) -> Table {
        patient(&self.endpoint)
    }

    /// Removes the items whose time is over, as DynamoDB does within days. Answers how many.
    pub fn sweep(&self) -> usize {
        self.engine.sweep_ttl().expect("swept")
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// A clock as the engine reads it.
struct Seconds(Arc<dyn Clock>);

impl dynoxide::storage_backend::Clock for Seconds {
    fn now_unix_secs(&self) -> u64 {
        self.0.now().timestamp().unsigned_abs()
    }

    fn now_unix_secs_f64(&self) -> f64 {
        Duration::from_micros(self.0.now().timestamp_micros().unsigned_abs()).as_secs_f64()
    }
}

/// The table behind this address: a server's, or a relay's before it.
pub fn table(endpoint: &str) -> Table {
    Table::new(&shared::aws::stand_in(endpoint), NAME)
}

/// The same for a test in which no call is to fail: on the busiest machine none runs out of its time.
pub fn patient(endpoint: &str) -> Table {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(DEADLINE)
        .operation_attempt_timeout(DEADLINE)
        .operation_timeout(DEADLINE)
        .build();
    let config = aws_sdk_dynamodb::config::Builder::from(&shared::aws::stand_in(endpoint))
        .timeout_config(timeouts)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Table::over(Client::from_conf(config), NAME)
}

/// Every item of a table, by its key.
pub async fn items(table: &Table) -> BTreeMap<(String, String), Item> {
    let scanning = table.client().scan().table_name(table.name());
    let items = scanning.into_paginator().items().send();
    let items = items.collect::<Result<Vec<_>, _>>().await.expect("read");
    let text = |item: &Item, name: &str| item[name].as_s().expect("a text").clone();
    let keyed = items
        .into_iter()
        .map(|item| ((text(&item, "pk"), text(&item, "sk")), item));
    keyed.collect()
}
