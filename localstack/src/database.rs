//! The embedded DynamoDB: an engine on `SQLite`, served on a loopback port for the AWS SDK.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use dynoxide::Database;
use shared::storage::Table;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// The table's name.
const TABLE: &str = "waxwing";

/// How often expired items are removed, since the engine does not do it by itself.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// A running engine.
pub struct Embedded {
    /// Its table.
    pub table: Table,
    /// Where it listens.
    pub endpoint: String,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the database in this file, or in memory, and serves it.
    pub async fn start(file: Option<&Path>) -> anyhow::Result<Self> {
        let database = match file {
            Some(file) => {
                let path = file.to_str().context("the data directory's name is not UTF-8")?;
                Database::new(path).with_context(|| format!("cannot open {}", file.display()))?
            }
            None => Database::memory().context("cannot open a database in memory")?,
        };
        let listener = listen().context("no free port for the database")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let stop = CancellationToken::new();
        let (sweeping, swept) = (database.clone(), stop.clone());
        let stopped = stop.clone().cancelled_owned();
        let tasks = vec![
            tokio::spawn(async move {
                if let Err(error) = dynoxide::server::serve_with_shutdown(listener, database, stopped).await {
                    warn!(%error, "the database ended");
                }
            }),
            tokio::spawn(sweep(sweeping, swept)),
        ];
        let table = Table::new(&shared::aws::stand_in(&endpoint), TABLE);
        table
            .create_if_absent()
            .await
            .context("cannot create the table")?;
        Ok(Self {
            table,
            endpoint,
            stop,
            tasks,
        })
    }

    /// Stops serving and closes the file.
    pub async fn shutdown(self) {
        self.stop.cancel();
        for task in self.tasks {
            if let Err(panic) = task.await {
                warn!(error = %panic, "the database ended in a panic");
            }
        }
    }
}

/// Listens on a free port of this machine. Connections inherit `TCP_NODELAY` from their listener, since a small
/// answer must not wait for the caller's delayed acknowledgement.
fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.listen(BACKLOG)
}

async fn sweep(database: Database, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    while !stop.is_cancelled() {
        tokio::select! {
            _ = ticks.tick() => {
                let database = database.clone();
                match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => warn!(%error, "expired items could not be removed"),
                    Err(panic) => warn!(error = %panic, "removing expired items ended in a panic"),
                }
            }
            () = stop.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_inherit_that_they_do_not_wait() {
        let listener = listen().expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (accepted, _dialled) = tokio::join!(listener.accept(), tokio::net::TcpStream::connect(address));
        let (stream, _) = accepted.expect("accepted");
        assert!(stream.nodelay().expect("told"));
    }
}
