//! The table as the leases use it: beats and leases, each write at one moment and on its condition.

use std::collections::BTreeMap;

use shared::domain::shard::Shard;
use shared::storage::leases::{Beat, Lease};

/// Beats and leases. That it does as the real one is a test in `mod.rs`.
#[derive(Debug, Clone, Default)]
pub struct Table {
    pub leases: BTreeMap<Shard, Lease>,
    pub beats: BTreeMap<String, Beat>,
}

/// A write that may land at another moment than its caller believes.
#[derive(Debug, Clone)]
pub enum Write {
    Beat {
        beat: Beat,
        /// Whether it takes the place of a later one: never, but where that rule is broken.
        goes_back: bool,
    },
    Retire(String),
    Take {
        shard: Shard,
        owner: String,
        seen: Option<u64>,
        /// By how much it raises the token: one, but where that rule is broken.
        raise: u64,
    },
    Release {
        shard: Shard,
        token: u64,
    },
}

impl Table {
    /// Lets a write land. Answers the token that it took, if it took one.
    pub fn land(&mut self, write: &Write) -> Option<u64> {
        match write {
            Write::Beat { beat, goes_back } => {
                let before = self.beats.get(&beat.daemon).map(|before| before.counter);
                if *goes_back || before <= Some(beat.counter) {
                    self.beats.insert(beat.daemon.clone(), beat.clone());
                }
                None
            }
            Write::Retire(daemon) => {
                self.beats.remove(daemon);
                None
            }
            Write::Take {
                shard,
                owner,
                seen,
                raise,
            } => {
                if self.token(*shard) != *seen {
                    return None;
                }
                let token = seen.map_or(1, |seen| seen + raise);
                let lease = Lease {
                    shard: *shard,
                    owner: Some(owner.clone()),
                    token,
                };
                self.leases.insert(*shard, lease);
                Some(token)
            }
            Write::Release { shard, token } => {
                let lease = self.leases.get_mut(shard).filter(|lease| lease.token == *token);
                if let Some(lease) = lease {
                    lease.owner = None;
                }
                None
            }
        }
    }

    /// The token of a shard's lease, where it ever had one.
    pub fn token(&self, shard: Shard) -> Option<u64> {
        self.leases.get(&shard).map(|lease| lease.token)
    }

    /// All leases, as a daemon reads them.
    pub fn list_leases(&self) -> Vec<Lease> {
        self.leases.values().cloned().collect()
    }

    /// All beats, as a daemon reads them.
    pub fn list_beats(&self) -> Vec<Beat> {
        self.beats.values().cloned().collect()
    }
}
