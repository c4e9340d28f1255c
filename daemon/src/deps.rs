//! What every part of the daemon works with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::bucket::Bucket;
use shared::clock::Clock;
use shared::config::QueueLimits;
use shared::domain::network::Network;
use shared::ids::InstanceId;
use shared::queue::{Queue, QueueNames};
use shared::seal::Sealer;
use shared::session_state::{Fence, SessionState, TableSessionState};
use shared::storage::Table;
use shared::storage::counters::Counters;
use shared::storage::instances::Instances;
use shared::storage::messages::Messages;
use shared::storage::schedule::Schedule;

use crate::announce::Announcer;
use crate::connection::Connector;
use crate::files::Files;
use crate::instance::starts::Starts;
use crate::meter::Meter;
use crate::people::Directory;
use crate::preview::Previews;

/// Stores, queues and the network, made once in a process.
#[derive(Debug)]
pub struct Deps {
    /// The table.
    pub table: Table,
    /// Its instances.
    pub instances: Instances,
    /// Its messages.
    pub messages: Messages,
    /// Its messages that are due later.
    pub schedule: Schedule,
    /// Its counters.
    pub counters: Counters,
    /// Makes every event.
    pub announcer: Announcer,
    /// Who is who to each instance.
    pub people: Arc<Directory>,
    /// The queues.
    pub queue: Arc<dyn Queue>,
    /// Their names.
    pub names: QueueNames,
    /// Seals content and session state.
    pub sealer: Arc<Sealer>,
    /// Media on their way out and in.
    pub bucket: Bucket,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// The network that this daemon serves.
    pub network: Network,
    /// Makes connections to it.
    pub connector: Arc<dyn Connector>,
    /// The last round trips of what is connected.
    pub round_trips: Arc<RoundTrips>,
    /// What it counts of itself.
    pub meter: Arc<Meter>,
    /// Gets the files of messages.
    pub files: Files,
    /// Makes the previews of links.
    pub previews: Previews,
    /// How long finding those who see a status may take.
    pub audience_deadline: Duration,
    /// How long a message waits in its lane for the keys of many.
    pub keys_patience: Duration,
    /// The places in which sessions begin.
    pub starts: Starts,
    /// How many messages may wait in the queues.
    pub queue_limits: QueueLimits,
}

impl Deps {
    /// An instance's session state, as the owner with this fence may write it.
    pub fn session_state(&self, instance: InstanceId, fence: &Fence) -> Arc<dyn SessionState> {
        Arc::new(TableSessionState::new(
            self.table.clone(),
            self.sealer.clone(),
            self.clock.clone(),
            instance,
            fence.clone(),
        ))
    }
}

/// When each connected instance last had a round trip to WhatsApp.
#[derive(Debug, Default)]
pub struct RoundTrips(Mutex<HashMap<InstanceId, DateTime<Utc>>>);

impl RoundTrips {
    /// Notes a round trip.
    pub fn note(&self, instance: InstanceId, at: DateTime<Utc>) {
        self.0.lock().expect("no holder panics").insert(instance, at);
    }

    /// Forgets an instance that is not connected any more. Answers its last round trip.
    pub fn forget(&self, instance: InstanceId) -> Option<DateTime<Utc>> {
        self.0.lock().expect("no holder panics").remove(&instance)
    }

    /// How many instances are connected.
    pub fn count(&self) -> usize {
        self.0.lock().expect("no holder panics").len()
    }

    /// The oldest of them: all that is shown as connected had a round trip then or later.
    pub fn oldest(&self) -> Option<DateTime<Utc>> {
        self.0.lock().expect("no holder panics").values().min().copied()
    }
}
