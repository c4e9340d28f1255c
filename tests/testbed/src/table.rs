//! The embedded table's server.

use std::collections::BTreeMap;

use shared::storage::Table;
use shared::storage::item::Item;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The table's name.
pub const NAME: &str = "waxwing";

/// A server with an empty table in memory; it ends with this.
#[derive(Debug)]
pub struct Database {
    /// Where it answers.
    pub endpoint: String,
    _server: DropGuard,
}

impl Database {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let database = dynoxide::Database::memory().expect("opened");
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move { dynoxide::server::serve_with_shutdown(listener, database, stopped).await });
        let database = Self {
            endpoint: format!("http://{address}"),
            _server: stop.drop_guard(),
        };
        database.table().create_if_absent().await.expect("created");
        database
    }

    /// Its table, past all relays.
    pub fn table(&self) -> Table {
        table(&self.endpoint)
    }
}

/// The table behind this address: a server's, or a relay's before it.
pub fn table(endpoint: &str) -> Table {
    Table::new(&shared::aws::stand_in(endpoint), NAME)
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
