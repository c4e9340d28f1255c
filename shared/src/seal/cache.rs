//! The cache of plain data keys: which are kept, for how long, and what serves while the key service is away.
//!
//! A key is unwrapped anew after its term, so that a withdrawn permission takes effect within it. Where the key
//! service or the table does not answer then, the cached key serves on, for [`GRACE`] after it was last unwrapped: an
//! outage stops nothing that runs. Where they answer that the key cannot be had, it is dropped at once.
//!
//! Keys of pinned instances stay as long as the pin, so their number follows what a process holds. Of the others, a
//! key that is used is never dropped before one that is not.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::sealer::SealError;
use super::wrapper::{DataKey, KeyContext};
use crate::ids::InstanceId;
use crate::nature::Nature;
use crate::recent::Recent;

/// How long after it was last unwrapped a key serves while it cannot be unwrapped anew.
pub const GRACE: Duration = Duration::from_hours(1);

/// How long unwrapping anew may take while a cached key can serve.
const PATIENCE: Duration = Duration::from_secs(1);

/// The pause before the next try.
const PAUSE: Duration = Duration::from_secs(15);

/// A plain key with its two terms.
struct Plain {
    key: DataKey,
    /// From then on it is unwrapped anew.
    fresh_until: Instant,
    /// From then on it does not serve.
    good_until: Instant,
}

/// A key that is cached or being loaded. All who need it meanwhile wait for the same load.
#[derive(Default)]
pub struct Slot {
    plain: Mutex<Option<Plain>>,
    /// Held while the key is loaded.
    loading: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slot")
    }
}

impl Slot {
    /// The key, loaded by `load` where none is cached or its term is over.
    pub async fn key<F>(&self, term: Duration, load: impl FnOnce() -> F) -> Result<DataKey, SealError>
    where
        F: Future<Output = Result<DataKey, SealError>>,
    {
        if let Some(key) = self.fresh() {
            return Ok(key);
        }
        let _alone = match self.good() {
            // Another task is loading it: the cached key serves meanwhile.
            Some(key) => match self.loading.try_lock() {
                Ok(alone) => alone,
                Err(_) => return Ok(key),
            },
            None => self.loading.lock().await,
        };
        if let Some(key) = self.fresh() {
            return Ok(key);
        }
        let at_hand = self.good();
        let loaded = match &at_hand {
            Some(_) => tokio::time::timeout(PATIENCE, load()).await,
            None => Ok(load().await),
        };
        match (loaded, at_hand) {
            (Ok(Ok(key)), _) => {
                let now = Instant::now();
                self.set(Some(Plain {
                    key: key.clone(),
                    fresh_until: now + term,
                    good_until: now + term.max(GRACE),
                }));
                Ok(key)
            }
            (Ok(Err(error)), Some(key)) if error.nature() == Nature::Transient => {
                tracing::warn!(%error, "a data key could not be unwrapped anew; the one at hand serves on");
                self.put_off();
                Ok(key)
            }
            (Err(_), Some(key)) => {
                tracing::warn!("a data key was not unwrapped anew in time; the one at hand serves on");
                self.put_off();
                Ok(key)
            }
            (Ok(Err(error)), _) => {
                if error.nature() != Nature::Transient {
                    self.set(None);
                }
                Err(error)
            }
            (Err(_), None) => unreachable!("nothing ends a load where no key is at hand"),
        }
    }

    fn fresh(&self) -> Option<DataKey> {
        let plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = plain.as_ref().filter(|plain| Instant::now() < plain.fresh_until);
        plain.map(|plain| plain.key.clone())
    }

    fn good(&self) -> Option<DataKey> {
        let plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = plain.as_ref().filter(|plain| Instant::now() < plain.good_until);
        plain.map(|plain| plain.key.clone())
    }

    fn set(&self, plain: Option<Plain>) {
        *self.plain.lock().unwrap_or_else(PoisonError::into_inner) = plain;
    }

    fn put_off(&self) {
        let mut plain = self.plain.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plain) = plain.as_mut() {
            plain.fresh_until = (Instant::now() + PAUSE).min(plain.good_until);
        }
    }
}

/// The slots of a process.
#[derive(Debug)]
pub struct Cache(Mutex<Slots>);

#[derive(Debug)]
struct Slots {
    pinned: HashMap<InstanceId, Pinned>,
    others: Recent<KeyContext, Arc<Slot>>,
}

#[derive(Debug, Default)]
struct Pinned {
    pins: usize,
    slots: HashMap<KeyContext, Arc<Slot>>,
}

/// Keeps an instance's keys at hand while it is held.
#[derive(Debug)]
pub struct Pin {
    cache: Arc<Cache>,
    instance: InstanceId,
}

impl Cache {
    /// A cache that keeps the keys of pinned instances and the `capacity` others used last.
    pub fn new(capacity: usize) -> Self {
        Self(Mutex::new(Slots {
            pinned: HashMap::new(),
            others: Recent::new(capacity),
        }))
    }

    /// The slot of a key.
    pub fn slot(&self, context: KeyContext) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Slots { pinned, others } = &mut *slots;
        if let Some(pinned) = pinned.get_mut(&context.instance) {
            let slot = pinned.slots.entry(context);
            return slot
                .or_insert_with(|| others.remove(&context).unwrap_or_default())
                .clone();
        }
        if let Some(slot) = others.get(&context) {
            return slot.clone();
        }
        let slot = Arc::<Slot>::default();
        others.insert(context, slot.clone());
        slot
    }

    /// Keeps an instance's keys until the pin is dropped.
    pub fn pin(self: &Arc<Self>, instance: InstanceId) -> Pin {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.pinned.entry(instance).or_default().pins += 1;
        Pin {
            cache: self.clone(),
            instance,
        }
    }

    /// Forgets an instance's keys.
    pub fn forget(&self, contexts: impl IntoIterator<Item = KeyContext>) {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for context in contexts {
            slots.others.remove(&context);
            if let Some(pinned) = slots.pinned.get_mut(&context.instance) {
                pinned.slots.remove(&context);
            }
        }
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut slots = self.cache.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pinned) = slots.pinned.get_mut(&self.instance) else {
            return;
        };
        pinned.pins -= 1;
        if pinned.pins > 0 {
            return;
        }
        // The instance may be held again in a moment, by another session.
        let gone = slots.pinned.remove(&self.instance).unwrap_or_default();
        for (context, slot) in gone.slots {
            slots.others.insert(context, slot);
        }
    }
}
