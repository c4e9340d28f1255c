//! The embedded DynamoDB: an engine on `SQLite`, which the AWS SDK reaches within this process. Where that is wanted, a loopback
//! port serves whoever else wants to look into the table. It asks nobody who he is.

mod connector;
mod disk;
mod engine;
mod reach;
mod unsigned;
mod writes;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::StalledStreamProtectionConfig;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use shared::storage::{Table, setup};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::connector::Connector;
use self::engine::Engine;
use self::unsigned::Unsigned;

/// The table's name.
pub const TABLE: &str = "waxwing";

/// The endpoint of a table without a port: nothing listens there, and nothing is sent there, but the SDK asks for one.
pub const NOWHERE: &str = "http://table.invalid";

/// What DynamoDB's `X-Amz-Target` begins with. The operation's name follows.
const TARGET: &str = "DynamoDB_20120810.";

/// The largest request that DynamoDB takes, in bytes.
const LARGEST: usize = 16 * 1024 * 1024;

/// How often expired items are removed, since the engine does not do it by itself. It reads the whole table each time, and
/// nobody is told of what has expired meanwhile.
const SWEEP_INTERVAL: Duration = Duration::from_mins(15);

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1_024;

/// A running engine.
pub struct Embedded {
    /// Its table, by the way within this process.
    pub table: Table,
    /// Where it listens; `None` where it has no port.
    pub endpoint: Option<String>,
    engine: Arc<Engine>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Embedded {
    /// Opens the database in this file, or in memory, and serves it: over a port too, where it is to have one.
    pub async fn start(file: Option<&Path>, has_port: bool) -> anyhow::Result<Self> {
        let engine = Arc::new(Engine::open(file)?);
        let listener = has_port
            .then(listen)
            .transpose()
            .context("no free port for the database")?;
        let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let endpoint = address.map(|address| format!("http://{address}"));
        let stop = CancellationToken::new();
        let mut tasks = vec![tokio::spawn(sweep(Arc::clone(&engine), stop.clone()))];
        if let Some(listener) = listener {
            tasks.push(tokio::spawn(serve_port(
                listener,
                Arc::clone(&engine),
                stop.clone(),
            )));
        }
        let table = directly(&engine);
        table
            .create_if_absent()
            .await
            .context("cannot create the table")?;
        Ok(Self {
            table,
            endpoint,
            engine,
            stop,
            tasks,
        })
    }

    /// Waits until the engine can do nothing more: it panicked, or its disk failed.
    pub async fn broken(&self) {
        self.engine.broken().cancelled().await;
    }

    /// Stops serving and closes the file.
    pub async fn shutdown(self) {
        self.stop.cancel();
        for task in self.tasks {
            if let Err(panic) = task.await {
                warn!(error = %panic, "the database ended in a panic");
            }
        }
        self.engine.close();
    }
}

/// Opens the database in this file, and closes it again. Fails where it is damaged, or newer than this program.
pub async fn check(file: &Path) -> anyhow::Result<()> {
    let engine = Arc::new(Engine::open(Some(file))?);
    // Of the number of shards nothing is asked.
    let agreed = setup::check(&directly(&engine), u32::MAX).await;
    engine.close();
    agreed??;
    Ok(())
}

/// The table by the way within this process.
fn directly(engine: &Arc<Engine>) -> Table {
    let config = Table::config(&shared::aws::stand_in(NOWHERE))
        .http_client(Connector::to(Arc::clone(engine)))
        .push_auth_scheme(Unsigned::default())
        .auth_scheme_resolver(Unsigned::default())
        // An answer comes whole.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Table::over(Client::from_conf(config), TABLE)
}

/// Listens on a free port of this machine. Connections inherit `TCP_NODELAY` from their listener, since a small
/// answer must not wait for the caller's delayed acknowledgement.
fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    socket.listen(BACKLOG)
}

/// Serves the port until `stop`.
async fn serve_port(listener: TcpListener, engine: Arc<Engine>, stop: CancellationToken) {
    let routes = Router::new()
        .route("/", post(serve))
        .layer(DefaultBodyLimit::max(LARGEST))
        .with_state(engine);
    let served = axum::serve(listener, routes)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        warn!(%error, "the database's port ended");
    }
}

/// A request over the port.
async fn serve(State(engine): State<Arc<Engine>>, headers: HeaderMap, request: Bytes) -> Response {
    let target = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok());
    let operation = target
        .and_then(|target| target.strip_prefix(TARGET))
        .unwrap_or_default();
    let answer = engine.answer(operation, &request).await;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        [(header::CONTENT_TYPE, "application/x-amz-json-1.0")],
        answer.body,
    )
        .into_response()
}

async fn sweep(engine: Arc<Engine>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    while !stop.is_cancelled() {
        tokio::select! {
            _ = ticks.tick() => {
                let engine = Arc::clone(&engine);
                match tokio::task::spawn_blocking(move || engine.sweep()).await {
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
