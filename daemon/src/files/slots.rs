//! How much is in hand at a time that takes as long as others take.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use shared::ids::InstanceId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Files of all instances together. Each takes a connection, and as much of the disk as it is long.
const ALL: usize = 64;

/// Files of one instance.
const OF_INSTANCE: usize = 2;

/// The places: for all instances together, and for each.
#[derive(Debug)]
pub struct Slots {
    all: Arc<Semaphore>,
    of_instance: usize,
    of: Mutex<HashMap<InstanceId, Arc<Semaphore>>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    _all: OwnedSemaphorePermit,
    _of_instance: OwnedSemaphorePermit,
}

/// Those for files.
impl Default for Slots {
    fn default() -> Self {
        Self::new(ALL, OF_INSTANCE)
    }
}

impl Slots {
    /// So many places, and so many of them for one instance.
    pub fn new(all: usize, of_instance: usize) -> Self {
        Self {
            all: Arc::new(Semaphore::new(all)),
            of_instance,
            of: Mutex::default(),
        }
    }

    /// Waits for a place. An instance that has used up its own does not wait among the others.
    pub async fn of(&self, instance: InstanceId) -> Slot {
        let of_instance = self.semaphore(instance);
        let of_instance = of_instance.acquire_owned().await.expect("it is never closed");
        let all = Arc::clone(&self.all)
            .acquire_owned()
            .await
            .expect("it is never closed");
        Slot {
            _all: all,
            _of_instance: of_instance,
        }
    }

    /// An instance's own places. Those of instances that have nothing in hand are forgotten.
    fn semaphore(&self, instance: InstanceId) -> Arc<Semaphore> {
        let mut of = self.of.lock().expect("no holder panics");
        of.retain(|other, places| *other == instance || Arc::strong_count(places) > 1);
        let places = of
            .entry(instance)
            .or_insert_with(|| Arc::new(Semaphore::new(self.of_instance)));
        Arc::clone(places)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn an_instance_waits_for_itself_alone() {
        let slots = Slots::default();
        let (one, other) = (InstanceId::from_bytes([1; 16]), InstanceId::from_bytes([2; 16]));
        let held = [slots.of(one).await, slots.of(one).await];
        assert!(slots.of(one).now_or_never().is_none(), "it has two in hand");
        drop(slots.of(other).await);
        drop(held);
        drop(slots.of(one).await);
        drop(slots.of(other).await);
        assert_eq!(
            slots.of.lock().expect("whole").len(),
            1,
            "idle ones are forgotten"
        );
    }
}
