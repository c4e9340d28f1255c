//! Stores to check: the library's, and ours over an embedded DynamoDB.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use daemon::store::SessionStore;
use shared::ids::InstanceId;
use shared::session_state::{Fence, SessionState, TableSessionState};
use shared::storage::Table;
use testbed::relay::Relay;
use wacore::libsignal::protocol::{
    ChainKey, IdentityKey, KeyPair, PrivateKey, PublicKey, RootKey, SessionRecord, SessionState as Session,
};
use wacore::store::traits::Backend;

/// Whose state it is.
pub const INSTANCE: InstanceId = InstanceId::from_bytes([1; 16]);

/// A table and keys, as of any suite, with session state in them.
pub struct World(testbed::world::World);

impl Deref for World {
    type Target = testbed::world::World;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl World {
    pub async fn new() -> Self {
        Self(testbed::world::World::new().await)
    }

    /// The session state as the holder of `token` has it, in a process of its own.
    pub fn state(&self, token: u64) -> Arc<dyn SessionState> {
        self.state_in(self.table.clone(), token)
    }

    /// The same behind a relay.
    pub fn state_behind(&self, relay: &Relay, token: u64) -> Arc<dyn SessionState> {
        self.state_in(testbed::table::patient(relay.endpoint()), token)
    }

    fn state_in(&self, table: Table, token: u64) -> Arc<dyn SessionState> {
        Arc::new(TableSessionState::new(
            table,
            Arc::new(self.sealer()),
            Arc::new(self.clock.clone()),
            INSTANCE,
            Fence::new(token),
        ))
    }

    pub fn store(&self, token: u64) -> Arc<SessionStore> {
        Arc::new(SessionStore::new(self.state(token), Arc::new(self.clock.clone())))
    }

    /// The same behind a relay.
    pub fn store_behind(&self, relay: &Relay, token: u64) -> Arc<SessionStore> {
        let state = self.state_behind(relay, token);
        Arc::new(SessionStore::new(state, Arc::new(self.clock.clone())))
    }
}

/// A session's record under this ratchet key, after so many messages of the 64 that are reserved.
pub fn session_record(ratchet: u8, sent: u32) -> Bytes {
    let public = |of: u8| {
        let bytes = [&[5_u8][..], &[of; 32][..]].concat();
        PublicKey::try_from(&bytes[..]).expect("a key")
    };
    let private = PrivateKey::try_from(&[ratchet; 32][..]).expect("a key");
    let keys = KeyPair::new(public(ratchet), private);
    let identity = IdentityKey::new(public(1));
    let session = Session::new(3, &identity, &identity, &RootKey::new([0; 32]), &public(2))
        .with_sender_chain(&keys, &ChainKey::new([ratchet; 32], sent));
    let mut record = SessionRecord::new(session);
    record.reserve_sender_chain_counters(0);
    Bytes::from(record.serialize().expect("encoded"))
}

/// The ratchet key of such a record, and where its reservation ends.
pub fn ratchet_of(record: &[u8]) -> (u8, u32) {
    let record = SessionRecord::deserialize(record).expect("a record");
    let session = record.session_state().expect("a session");
    let key = session.sender_ratchet_key().expect("a key").serialize();
    (key[1], record.reserved_sender_chain_index())
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
