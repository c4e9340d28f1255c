//! Counters behind a relay, and counts that wait for it.

use std::ops::Deref;
use std::pin::Pin;

use futures::poll;
use shared::ids::{InstanceId, SubscriptionId};
use shared::storage::counters::Counters;
use testbed::relay::{Held, On, Relay};
use testbed::table::patient;
use testbed::wait::in_time;

/// A table, and counters that reach it through a relay.
pub struct World {
    base: testbed::world::World,
    pub relay: Relay,
    pub counters: Counters,
    /// The same counters past the relay, as another process has them.
    pub elsewhere: Counters,
    pub subscription: SubscriptionId,
    pub instance: InstanceId,
    pub other: InstanceId,
}

impl Deref for World {
    type Target = testbed::world::World;

    fn deref(&self) -> &Self::Target {
        &self.base
    }
}

impl World {
    pub async fn new() -> Self {
        let base = testbed::world::World::new().await;
        let relay = Relay::before(&base.database.endpoint).await;
        Self {
            counters: Counters::new(patient(relay.endpoint())),
            elsewhere: Counters::new(base.table.clone()),
            relay,
            base,
            subscription: SubscriptionId::from_bytes([1; 16]),
            instance: InstanceId::from_bytes([2; 16]),
            other: InstanceId::from_bytes([3; 16]),
        }
    }

    /// How many updates came to the relay.
    pub fn updates(&self) -> u64 {
        let tally = self.relay.tally();
        tally.get("UpdateItem").copied().unwrap_or_default()
    }

    /// Begins a count, and holds its update.
    pub async fn begin_held<F: Future>(&self, on: On, count: F) -> (Pin<Box<F>>, Held) {
        let hold = self.relay.hold(on);
        let count = begin(count).await;
        (count, in_time("its update", hold.arrived()).await)
    }
}

/// Begins a count: when this answers, the count waits for its update.
pub async fn begin<F: Future>(count: F) -> Pin<Box<F>> {
    let mut count = Box::pin(count);
    assert!(poll!(&mut count).is_pending(), "nobody has stored it");
    count
}
