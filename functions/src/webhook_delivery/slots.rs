//! How many attempts are under way at once in a process: so many to one endpoint, and so many in all.
//!
//! An endpoint that hangs keeps each of its attempts for as long as an attempt may take. So it has a few places and no more,
//! and some of all places are for endpoints whose last attempt went well: they find one however many others hang. Nobody
//! waits here for long. What finds no place goes back to its queue for a while, so that it is in nobody's way.
//!
//! On Lambda a process has one batch, so these bounds are never met there. What holds there is in `slow.rs`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::ids::InstanceId;
use shared::recent::Recent;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bounds of a process.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Attempts to one endpoint at once.
    pub of_one: usize,
    /// Attempts at once to endpoints of which nothing good is known.
    pub of_all: usize,
    /// Places beside these, for endpoints whose last attempt went well.
    pub reserved: usize,
    /// How long an attempt waits for a place.
    pub patience: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            of_one: 16,
            of_all: 384,
            reserved: 128,
            patience: Duration::from_secs(1),
        }
    }
}

/// Of how many endpoints it is remembered that they do well.
const REMEMBERED: usize = 4_096;

/// The places of a process.
#[derive(Debug)]
pub struct Slots {
    limits: Limits,
    of_all: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
    endpoints: Mutex<HashMap<InstanceId, Arc<Semaphore>>>,
    well: Mutex<Recent<InstanceId, ()>>,
}

/// An attempt's place. It is free again when this is dropped.
#[derive(Debug)]
pub struct Slot {
    _of_all: OwnedSemaphorePermit,
    _of_one: OwnedSemaphorePermit,
}

impl Slots {
    /// Places within these bounds.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            of_all: Arc::new(Semaphore::new(limits.of_all)),
            reserved: Arc::new(Semaphore::new(limits.reserved)),
            endpoints: Mutex::default(),
            well: Mutex::new(Recent::new(REMEMBERED)),
        }
    }

    /// A place for an attempt to this instance's endpoint; `None` where none is free in time.
    pub async fn acquire(&self, endpoint: InstanceId) -> Option<Slot> {
        let patience = self.limits.patience;
        tokio::time::timeout(patience, self.wait(endpoint)).await.ok()
    }

    async fn wait(&self, endpoint: InstanceId) -> Slot {
        let of_one = acquired(self.of(endpoint)).await;
        let of_all = if self.is_well(endpoint) {
            tokio::select! {
                biased;
                place = acquired(Arc::clone(&self.of_all)) => place,
                place = acquired(Arc::clone(&self.reserved)) => place,
            }
        } else {
            acquired(Arc::clone(&self.of_all)).await
        };
        Slot {
            _of_all: of_all,
            _of_one: of_one,
        }
    }

    /// Notes how an attempt to an endpoint went.
    pub fn note(&self, endpoint: InstanceId, went_well: bool) {
        let mut well = self.well.lock().expect("no holder panics");
        if went_well {
            well.insert(endpoint, ());
        } else {
            well.remove(&endpoint);
        }
    }

    fn is_well(&self, endpoint: InstanceId) -> bool {
        let mut well = self.well.lock().expect("no holder panics");
        well.get(&endpoint).is_some()
    }

    fn of(&self, endpoint: InstanceId) -> Arc<Semaphore> {
        let mut endpoints = self.endpoints.lock().expect("no holder panics");
        if let Some(places) = endpoints.get(&endpoint) {
            return Arc::clone(places);
        }
        // Those whom nobody uses now are made anew when somebody does.
        endpoints.retain(|_, places| Arc::strong_count(places) > 1);
        let places = Arc::new(Semaphore::new(self.limits.of_one));
        endpoints.insert(endpoint, Arc::clone(&places));
        places
    }
}

async fn acquired(places: Arc<Semaphore>) -> OwnedSemaphorePermit {
    places.acquire_owned().await.expect("it is never closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn endpoint(number: u8) -> InstanceId {
        InstanceId::from_bytes([number; 16])
    }

    fn slots() -> Slots {
        Slots::new(Limits {
            of_one: 2,
            of_all: 4,
            reserved: 1,
            patience: Duration::from_millis(20),
        })
    }

    #[tokio::test]
    async fn an_endpoint_has_its_places_and_no_more() {
        let slots = slots();
        let first = slots.acquire(endpoint(1)).await.expect("free");
        let _second = slots.acquire(endpoint(1)).await.expect("free");
        assert!(slots.acquire(endpoint(1)).await.is_none());
        assert!(slots.acquire(endpoint(2)).await.is_some(), "another endpoint's");
        drop(first);
        assert!(slots.acquire(endpoint(1)).await.is_some());
    }

    #[tokio::test]
    async fn one_that_does_well_finds_a_place_beside_all_that_hang() {
        let slots = slots();
        let mut hanging = Vec::new();
        for number in 1..=4 {
            hanging.push(slots.acquire(endpoint(number)).await.expect("free"));
        }
        assert!(
            slots.acquire(endpoint(5)).await.is_none(),
            "nothing is known of it"
        );
        slots.note(endpoint(5), true);
        let slot = slots.acquire(endpoint(5)).await.expect("reserved");
        slots.note(endpoint(6), true);
        assert!(
            slots.acquire(endpoint(6)).await.is_none(),
            "that one was the last"
        );
        drop(slot);
        slots.note(endpoint(5), false);
        assert!(slots.acquire(endpoint(5)).await.is_none(), "it does well no more");
    }

    #[tokio::test]
    async fn endpoints_that_nobody_uses_are_forgotten() {
        let slots = slots();
        for number in 1..=100 {
            drop(slots.acquire(endpoint(number)).await);
        }
        assert_eq!(slots.endpoints.lock().expect("whole").len(), 1);
    }
}
