//! Who wants which events: what the instances' items say, as the shards' looks at them last found it.
//!
//! An event that nobody wants costs nothing, so nobody reads an item to find that out. The reconciler reads each instance
//! once a minute and upon each nudge, and notes here what it finds. Only where it has not looked for long, as for a message
//! that ends before the first look of a new owner, the item is read.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use shared::domain::event::Wants;
use shared::domain::instance::{Instance, InstanceName};
use shared::ids::{InstanceId, SubscriptionId};
use shared::storage::StorageError;
use shared::storage::instances::Instances;
use tokio::time::Instant;

/// For how long a look counts: two sweeps, and a little more.
const TERM: Duration = Duration::from_secs(150);

/// What is known of an instance.
#[derive(Debug)]
pub struct Listener {
    /// Whose it is.
    pub subscription: SubscriptionId,
    /// What it is called.
    pub name: InstanceName,
    /// Its owner's own strings.
    pub metadata: BTreeMap<String, String>,
    /// Which of its events somebody wants.
    pub wants: Wants,
    /// For how many days the content of its messages is kept.
    pub content_days: u8,
    /// Whether the realtime feed says what its messages say.
    pub content_in_realtime: bool,
}

/// Who wants which events of the instances that this process serves.
#[derive(Debug)]
pub struct Audience {
    instances: Instances,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    listeners: HashMap<InstanceId, (Arc<Listener>, Instant)>,
    /// At how many of them those that have run out are looked for.
    sweep_at: usize,
}

impl Audience {
    /// The audience of the instances of this table.
    pub fn new(instances: Instances) -> Self {
        Self {
            instances,
            noted: Mutex::default(),
        }
    }

    /// Notes what an instance's item says, as it was just read.
    pub fn note(&self, instance: &Instance) -> Arc<Listener> {
        let listener = Arc::new(Listener {
            subscription: instance.subscription,
            name: instance.name.clone(),
            metadata: instance.metadata.clone(),
            wants: instance.wants.clone(),
            content_days: instance.content_days,
            content_in_realtime: instance.content_in_realtime,
        });
        let now = Instant::now();
        let mut noted = self.noted();
        if noted.listeners.len() >= noted.sweep_at {
            noted.listeners.retain(|_, (_, at)| now - *at < TERM);
            noted.sweep_at = 2 * noted.listeners.len() + 64;
        }
        noted.listeners.insert(instance.id, (Arc::clone(&listener), now));
        listener
    }

    /// Who listens to an instance; `None` where the instance is gone.
    pub async fn of(&self, id: InstanceId) -> Result<Option<Arc<Listener>>, StorageError> {
        if let Some(listener) = self.known(id) {
            return Ok(Some(listener));
        }
        let found = self.instances.get_with_deleted(id).await?;
        Ok(found.map(|instance| self.note(&instance)))
    }

    /// Who listens to an instance, as far as that is known without a look at the table.
    pub fn known(&self, id: InstanceId) -> Option<Arc<Listener>> {
        let noted = self.noted();
        let (listener, at) = noted.listeners.get(&id)?;
        (at.elapsed() < TERM).then(|| Arc::clone(listener))
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().expect("no holder panics")
    }
}
