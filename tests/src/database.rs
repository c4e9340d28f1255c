//! The embedded table's server, for tests that need no whole local stack.

use shared::storage::Table;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

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

    /// Its table, past all meters.
    pub fn table(&self) -> Table {
        table(&self.endpoint)
    }
}

/// The table behind this address: a server's, or a meter's before it.
pub fn table(endpoint: &str) -> Table {
    Table::new(&shared::aws::stand_in(endpoint), "waxwing")
}
