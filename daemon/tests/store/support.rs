//! Stores to check: the library's, and ours over an embedded DynamoDB.

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use chrono::{DateTime, Utc};
use daemon::store::SessionStore;
use shared::clock::{Clock as _, SteppedClock};
use shared::ids::InstanceId;
use shared::seal::{FileKeyWrapper, Sealer};
use shared::session_state::{Fence, SessionState, TableSessionState};
use shared::storage::Table;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use wacore::store::traits::Backend;

pub struct World {
    pub table: Table,
    pub clock: SteppedClock,
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
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .endpoint_url(format!("http://{address}"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "id", "secret", None, None, "test",
            )))
            .build();
        let table = Table::new(&config, "waxwing");
        table.create_if_absent().await.expect("created");
        Self {
            table,
            clock: SteppedClock::at(DateTime::from_timestamp(1_767_225_600, 0).expect("in range")),
            directory: tempfile::tempdir().expect("a directory"),
            _server: stop.drop_guard(),
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The session state as the holder of `token` has it, in a process of its own.
    pub fn state(&self, token: u64) -> Arc<dyn SessionState> {
        let wrapper = FileKeyWrapper::open(&self.directory.path().join("master.key")).expect("a key file");
        Arc::new(TableSessionState::new(
            self.table.clone(),
            Arc::new(Sealer::new(self.table.clone(), Arc::new(wrapper))),
            Arc::new(self.clock.clone()),
            InstanceId::from_bytes([1; 16]),
            Fence::new(token),
        ))
    }

    pub fn store(&self, token: u64) -> Arc<SessionStore> {
        Arc::new(SessionStore::new(self.state(token), Arc::new(self.clock.clone())))
    }
}

/// One of the stores. [`Subject::open`] gives it anew, ours without anything remembered.
pub enum Subject {
    Reference(Arc<wacore::store::in_memory::InMemoryBackend>),
    Ours(World),
}

impl Subject {
    pub async fn both() -> [Self; 2] {
        [Self::Reference(Arc::default()), Self::Ours(World::new().await)]
    }

    pub fn open(&self) -> Arc<dyn Backend> {
        match self {
            Self::Reference(store) => Arc::clone(store) as Arc<dyn Backend>,
            Self::Ours(world) => world.store(1),
        }
    }
}
