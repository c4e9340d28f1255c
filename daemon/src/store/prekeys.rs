//! One-time prekeys, packed 64 to an entry by their ids.
//!
//! A client makes 812 of them at once. As single entries they would take 812 write units from a partition that has
//! 1,000 a second; packed they take 13 entries and a tenth of the units. Using one up rewrites its pack, about 5
//! write units, once per new contact.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use shared::session_state::{Entry, SessionState};
use tokio::sync::Mutex;
use wacore::store::error::StoreError;

use super::names::{last, name, prefix};
use super::pairs::{self, Pairs};
use super::{corrupt, failed};

/// How many consecutive ids a pack is for.
const PACK_SIZE: u32 = 64;

/// How many packs are kept in memory: prekeys are used up in order, and each is read and then removed.
const CACHED_PACKS: usize = 2;

/// The packs of one instance.
#[derive(Debug)]
pub struct Prekeys {
    state: Arc<dyn SessionState>,
    /// The packs of which a single prekey was used last, the latest at the end. What is made, uploaded or compared many at a
    /// time is not needed again soon. The lock is held over every change.
    cache: Mutex<Vec<Cached>>,
}

/// A pack as it is stored.
struct Cached {
    number: u32,
    bytes: Vec<u8>,
}

/// The prekeys of one pack by id.
#[derive(Default)]
struct Pack(BTreeMap<u32, Prekey>);

struct Prekey {
    uploaded: bool,
    record: Bytes,
}

impl std::fmt::Debug for Cached {
    /// Records are private keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cached").field(&self.number).finish()
    }
}

impl Pack {
    fn encode(&self) -> Result<Vec<u8>, StoreError> {
        let pairs: Pairs = self
            .0
            .iter()
            .map(|(id, prekey)| {
                let mut value = Vec::with_capacity(1 + prekey.record.len());
                value.push(u8::from(prekey.uploaded));
                value.extend_from_slice(&prekey.record);
                (id.to_be_bytes().to_vec(), value)
            })
            .collect();
        pairs::encode(&pairs)
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let mut pack = BTreeMap::new();
        for (id, value) in pairs::decode(bytes)? {
            let id = id.try_into().map_err(|_| corrupt("prekey"))?;
            let (uploaded, record) = value.split_first().ok_or_else(|| corrupt("prekey"))?;
            let prekey = Prekey {
                uploaded: *uploaded != 0,
                record: Bytes::copy_from_slice(record),
            };
            pack.insert(u32::from_be_bytes(id), prekey);
        }
        Ok(Self(pack))
    }
}

fn pack_of(id: u32) -> u32 {
    id / PACK_SIZE
}

/// Hexadecimal of a fixed width, so that packs sort by number.
fn pack_name(pack: u32) -> String {
    name("pre", &[&format!("{pack:08x}")])
}

impl Prekeys {
    pub fn new(state: Arc<dyn SessionState>) -> Self {
        Self {
            state,
            cache: Mutex::default(),
        }
    }

    pub async fn store(&self, keys: &[(u32, Bytes)], uploaded: bool) -> Result<(), StoreError> {
        let mut by_pack: BTreeMap<u32, Vec<(u32, Bytes)>> = BTreeMap::new();
        for (id, record) in keys {
            by_pack
                .entry(pack_of(*id))
                .or_default()
                .push((*id, record.clone()));
        }
        self.change(by_pack, keys.len() == 1, |pack, keys| {
            for (id, record) in keys {
                pack.0.insert(id, Prekey { uploaded, record });
            }
            true
        })
        .await
    }

    /// Marks those that exist; one that was used up meanwhile does not come back.
    pub async fn mark_uploaded(&self, ids: &[u32]) -> Result<(), StoreError> {
        self.change(by_pack(ids), false, |pack, ids| {
            let mut changed = false;
            for id in ids {
                if let Some(prekey) = pack.0.get_mut(&id)
                    && !prekey.uploaded
                {
                    prekey.uploaded = true;
                    changed = true;
                }
            }
            changed
        })
        .await
    }

    pub async fn remove(&self, id: u32) -> Result<(), StoreError> {
        self.change(by_pack(&[id]), true, |pack, ids| {
            ids.iter().any(|id| pack.0.remove(id).is_some())
        })
        .await
    }

    pub async fn load(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>, StoreError> {
        let mut cache = self.cache.lock().await;
        let packs = self
            .packs(&mut cache, by_pack(ids).keys().copied(), ids.len() == 1)
            .await?;
        let record = |id: &u32| Some((*id, packs.get(&pack_of(*id))?.0.get(id)?.record.clone()));
        Ok(ids.iter().filter_map(record).collect())
    }

    pub async fn max_id(&self) -> Result<u32, StoreError> {
        let (mut names, mut after) = (Vec::new(), None);
        loop {
            let page = self
                .state
                .keys(&prefix("pre", &[]), after.as_deref())
                .await
                .map_err(failed)?;
            names.extend(page.items.into_iter().map(|listed| listed.key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        for name in names.iter().rev() {
            u32::from_str_radix(last(name), 16).map_err(|_| corrupt("prekey"))?;
            let Some(bytes) = self.state.get(name).await.map_err(failed)? else {
                continue;
            };
            if let Some((id, _)) = Pack::decode(&bytes)?.0.last_key_value() {
                return Ok(*id);
            }
        }
        Ok(0)
    }

    /// Applies `change` to the packs, and writes back those that it says have changed. `keeps` them in memory.
    async fn change<T>(
        &self,
        mut wanted: BTreeMap<u32, T>,
        keeps: bool,
        change: impl Fn(&mut Pack, T) -> bool + Send,
    ) -> Result<(), StoreError>
    where
        T: Send,
    {
        let mut cache = self.cache.lock().await;
        let mut packs = self.packs(&mut cache, wanted.keys().copied(), keeps).await?;
        let mut entries = Vec::new();
        let mut emptied = Vec::new();
        let mut kept = Vec::new();
        packs.retain(|number, pack| wanted.remove(number).is_some_and(|values| change(pack, values)));
        for (number, pack) in &packs {
            let bytes = pack.encode()?;
            if keeps {
                kept.push(Cached {
                    number: *number,
                    bytes: bytes.clone(),
                });
            }
            if pack.0.is_empty() {
                emptied.push(pack_name(*number));
            } else {
                entries.push(Entry {
                    key: pack_name(*number),
                    value: bytes,
                    expires: None,
                });
            }
        }
        // They leave the cache until it is known what was stored.
        cache.retain(|cached| !packs.contains_key(&cached.number));
        self.state.put_many(entries).await.map_err(failed)?;
        self.state.delete_many(&emptied).await.map_err(failed)?;
        for pack in kept {
            remember(&mut cache, pack);
        }
        Ok(())
    }

    /// The packs of these numbers, from the cache or the state; absent ones are empty. `keeps` in the cache what is read.
    async fn packs(
        &self,
        cache: &mut Vec<Cached>,
        numbers: impl IntoIterator<Item = u32>,
        keeps: bool,
    ) -> Result<BTreeMap<u32, Pack>, StoreError> {
        let mut packs: BTreeMap<u32, Pack> = BTreeMap::new();
        let mut missing = Vec::new();
        for number in numbers {
            if let Some(cached) = cache.iter().find(|cached| cached.number == number) {
                packs.insert(number, Pack::decode(&cached.bytes)?);
            } else {
                packs.insert(number, Pack::default());
                missing.push(pack_name(number));
            }
        }
        if missing.is_empty() {
            return Ok(packs);
        }
        for (name, bytes) in self.state.get_many(&missing).await.map_err(failed)? {
            let number = u32::from_str_radix(last(&name), 16).map_err(|_| corrupt("prekey"))?;
            packs.insert(number, Pack::decode(&bytes)?);
            if keeps {
                remember(cache, Cached { number, bytes });
            }
        }
        Ok(packs)
    }
}

fn by_pack(ids: &[u32]) -> BTreeMap<u32, Vec<u32>> {
    let mut packs: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for id in ids {
        packs.entry(pack_of(*id)).or_default().push(*id);
    }
    packs
}

fn remember(cache: &mut Vec<Cached>, pack: Cached) {
    cache.retain(|cached| cached.number != pack.number);
    cache.push(pack);
    if cache.len() > CACHED_PACKS {
        cache.remove(0);
    }
}
