//! Stores to check: the library's, and ours over an embedded DynamoDB.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use daemon::store::SessionStore;
use shared::clock::{Clock as _, SteppedClock};
use shared::ids::InstanceId;
use shared::session_state::{Fence, SessionState, TableSessionState};
use shared::storage::Table;
use tempfile::TempDir;
use tokio_util::sync::DropGuard;
use wacore::store::traits::Backend;

use crate::embedded;

pub struct World {
    pub table: Table,
    pub clock: SteppedClock,
    directory: TempDir,
    _server: DropGuard,
}

impl World {
    pub async fn new() -> Self {
        let (endpoint, server) = embedded::database().await;
        let table = embedded::table(&endpoint).await;
        Self {
            table,
            clock: embedded::clock(),
            directory: tempfile::tempdir().expect("a directory"),
            _server: server,
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The session state as the holder of `token` has it, in a process of its own.
    pub fn state(&self, token: u64) -> Arc<dyn SessionState> {
        Arc::new(TableSessionState::new(
            self.table.clone(),
            embedded::sealer(&self.table, self.directory.path()),
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
