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

/// How many packs are kept in memory: prekeys are made, uploaded and used up in order.
const CACHED_PACKS: usize = 2;

/// The packs of one instance.
#[derive(Debug)]
pub struct Prekeys {
    state: Arc<dyn SessionState>,
    /// The packs used last, the latest at the end. The lock is held over every change.
    cache: Mutex<Vec<(u32, Pack)>>,
}

/// The prekeys of one pack by id.
#[derive(Clone, Default)]
struct Pack(BTreeMap<u32, Prekey>);

#[derive(Clone)]
struct Prekey {
    uploaded: bool,
    record: Bytes,
}

impl std::fmt::Debug for Pack {
    /// Records are private keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
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
        self.change(by_pack, |pack, keys| {
            for (id, record) in keys {
                pack.0.insert(id, Prekey { uploaded, record });
            }
            true
        })
        .await
    }

    /// Marks those that exist; one that was used up meanwhile does not come back.
    pub async fn mark_uploaded(&self, ids: &[u32]) -> Result<(), StoreError> {
        self.change(by_pack(ids), |pack, ids| {
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
        self.change(by_pack(&[id]), |pack, ids| {
            ids.iter().any(|id| pack.0.remove(id).is_some())
        })
        .await
    }

    pub async fn load(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>, StoreError> {
        let mut cache = self.cache.lock().await;
        let packs = self.packs(&mut cache, by_pack(ids).keys().copied()).await?;
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

    /// Applies `change` to the packs, and writes back those that it says have changed.
    async fn change<T>(
        &self,
        mut wanted: BTreeMap<u32, T>,
        change: impl Fn(&mut Pack, T) -> bool + Send,
    ) -> Result<(), StoreError>
    where
        T: Send,
    {
        let mut cache = self.cache.lock().await;
        let mut packs = self.packs(&mut cache, wanted.keys().copied()).await?;
        let mut entries = Vec::new();
        let mut emptied = Vec::new();
        packs.retain(|number, pack| wanted.remove(number).is_some_and(|values| change(pack, values)));
        for (number, pack) in &packs {
            if pack.0.is_empty() {
                emptied.push(pack_name(*number));
            } else {
                entries.push(Entry {
                    key: pack_name(*number),
                    value: pack.encode()?,
                    expires: None,
                });
            }
        }
        // They leave the cache until it is known what was stored.
        cache.retain(|(number, _)| !packs.contains_key(number));
        self.state.put_many(entries).await.map_err(failed)?;
        self.state.delete_many(&emptied).await.map_err(failed)?;
        for (number, pack) in packs {
            remember(&mut cache, number, pack);
        }
        Ok(())
    }

    /// The packs of these numbers, from the cache or the state; absent ones are empty.
    async fn packs(
        &self,
        cache: &mut Vec<(u32, Pack)>,
        numbers: impl IntoIterator<Item = u32>,
    ) -> Result<BTreeMap<u32, Pack>, StoreError> {
        let mut packs: BTreeMap<u32, Pack> = BTreeMap::new();
        let mut missing = Vec::new();
        for number in numbers {
            if let Some((_, pack)) = cache.iter().find(|(cached, _)| *cached == number) {
                packs.insert(number, pack.clone());
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
            let pack = Pack::decode(&bytes)?;
            remember(cache, number, pack.clone());
            packs.insert(number, pack);
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

fn remember(cache: &mut Vec<(u32, Pack)>, number: u32, pack: Pack) {
    cache.retain(|(cached, _)| *cached != number);
    cache.push((number, pack));
    if cache.len() > CACHED_PACKS {
        cache.remove(0);
    }
}
