//! A table, queues, and instances in them.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use daemon::shard::{AUDIENCE_DEADLINE, KEYS_PATIENCE};
use shared::clock::SystemClock;
use shared::config::QueueLimits;
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::job::Query;
use shared::domain::network::Network as NetworkName;
use shared::domain::payload;
use shared::domain::shard::Shard;
use shared::ids::{InstanceId, SubscriptionId};
use shared::queue::{OutgoingMessage, Queue as _, QueueNames};
use shared::seal::Sealer;
use shared::storage::counters::Counters;
use shared::storage::instances::{Created, Instances, Settings, Suspended, Updated};
use shared::storage::keys;
use shared::storage::leases::Leases;
use shared::storage::messages::Messages;
use testbed::queues::{Through, queues};
use testbed::wait::until;

use crate::queue::Watched;

pub const NETWORK: NetworkName = NetworkName::Sandbox;
pub const SUBSCRIPTION: SubscriptionId = SubscriptionId::from_bytes([9; 16]);

/// For the tests that wait until a silent daemon's shards are another's.
const SHORT_LEASE: Duration = Duration::from_secs(6);

/// A world as of any suite, with the queues of a network and instances.
pub struct World {
    base: testbed::world::World,
    pub queue: Arc<Through<Watched>>,
    pub names: QueueNames,
    pub instances: Instances,
    pub messages: Messages,
    pub counters: Counters,
    pub leases: Leases,
    pub sealer: Arc<Sealer>,
    pub shards: u32,
    /// The silence after which a daemon's shards are another's.
    pub lease: Duration,
    /// How its daemons get files.
    pub files: daemon::files::Settings,
    /// How long its daemons look for those who see a status.
    pub audience_deadline: Duration,
    /// How long its messages wait in their lanes for the keys of many.
    pub keys_patience: Duration,
    /// How many messages may wait, as its daemons know.
    pub queue_limits: QueueLimits,
    /// For how long its daemons keep plain keys.
    pub key_term: Duration,
}

impl Deref for World {
    type Target = testbed::world::World;

    fn deref(&self) -> &Self::Target {
        &self.base
    }
}

impl World {
    /// A world of one shard.
    pub async fn new() -> Self {
        Self::of(1).await
    }

    pub async fn of(shards: u32) -> Self {
        let base = testbed::world::World::new().await;
        let mut subscription = keys::subscription(SUBSCRIPTION).attributes();
        subscription.insert("active".to_owned(), AttributeValue::Bool(true));
        base.put_item(subscription).await;
        // Visibility runs by the machine's clock: what is hidden comes back by itself.
        let (queue, names) = queues(Arc::new(SystemClock), NETWORK, shards).await;
        let table = &base.table;
        Self {
            queue: Arc::new(Through(Watched::new(queue))),
            names,
            instances: Instances::new(table.clone()),
            messages: Messages::new(table.clone()),
            counters: Counters::new(table.clone()),
            leases: Leases::new(table.clone(), NETWORK),
            sealer: Arc::new(base.sealer()),
            shards,
            // A busy machine's delays end no lease.
            lease: Duration::from_secs(30),
            files: daemon::files::Settings::default(),
            audience_deadline: AUDIENCE_DEADLINE,
            keys_patience: KEYS_PATIENCE,
            queue_limits: QueueLimits::default(),
            key_term: Duration::from_mins(5),
            base,
        }
    }

    /// The same with short leases.
    pub async fn with_short_leases(shards: u32) -> Self {
        Self {
            lease: SHORT_LEASE,
            ..Self::of(shards).await
        }
    }

    /// An instance of the first shard that is wanted connected.
    pub async fn instance(&self, name: &str) -> Instance {
        self.instance_of(name, Shard(0)).await
    }

    pub async fn instance_of(&self, name: &str, shard: Shard) -> Instance {
        let (now, name) = (self.now(), name.parse().expect("a name"));
        let id = InstanceId::new(now);
        let mut instance = Instance::new(id, SUBSCRIPTION, name, NETWORK, shard, now);
        instance.desired.wanted = Wanted::Connected;
        instance.desired.generation = 1;
        let created = self.instances.create(&instance, 100).await.expect("created");
        assert_eq!(created, Created::Created);
        instance
    }

    /// Asks for `wanted` as the API does: stores it and nudges the shard.
    pub async fn want(&self, instance: &Instance, wanted: Wanted) {
        let desired = match wanted {
            Wanted::LoggedOut => self.instances.want_logout(instance.id, self.now()).await,
            wanted => self.instances.want(instance.id, wanted).await,
        };
        desired.expect("stored").expect("the instance is there");
        self.nudge(instance).await;
    }

    /// Changes an instance's settings, as the API does, and waits until its daemon knows.
    pub async fn configure(&self, instance: &Instance, change: impl FnOnce(&mut Settings)) {
        let read = self.load(instance).await;
        let mut settings = Settings {
            name: read.name.clone(),
            metadata: read.metadata.clone(),
            messages_per_minute: read.messages_per_minute,
            content_days: read.content_days,
            content_in_realtime: read.content_in_realtime,
        };
        change(&mut settings);
        let updated = self.instances.update(&read, &settings).await;
        assert_eq!(updated.expect("stored"), Updated::Done);
        self.nudge_and_wait(instance).await;
    }

    /// Stores this text in an item, as a newer version may.
    pub async fn store_text(&self, key: keys::Key, name: &str, value: &str) {
        self.set(&key, name, AttributeValue::S(value.to_owned())).await;
    }

    /// Switches the subscription as the API does, with what follows for its instances.
    pub async fn set_active(&self, active: bool) {
        let subscription = keys::subscription(SUBSCRIPTION);
        self.set(&subscription, "active", AttributeValue::Bool(active))
            .await;
        let suspended = self.instances.suspend(SUBSCRIPTION, !active).await;
        let Suspended::Done(instances) = suspended.expect("stored") else {
            panic!("nobody else switches it");
        };
        for instance in &instances {
            self.nudge(instance).await;
        }
    }

    pub async fn nudge(&self, instance: &Instance) {
        let nudge = payload::encode(&Query::Nudge {
            instance: instance.id,
        });
        self.queue
            .send(
                &self.names.queries(instance.shard.0),
                OutgoingMessage::standard(nudge),
            )
            .await
            .expect("queued");
    }

    /// Nudges, and waits until the nudge is followed.
    pub async fn nudge_and_wait(&self, instance: &Instance) {
        self.nudge(instance).await;
        until("the end of the nudge", async || {
            let depth = self
                .queue
                .depth(&self.names.queries(instance.shard.0))
                .await
                .expect("read");
            (depth.visible + depth.in_flight == 0).then_some(())
        })
        .await;
    }

    pub async fn load(&self, instance: &Instance) -> Instance {
        let loaded = self.instances.get_of_any(instance.id).await.expect("read");
        loaded.expect("the instance is there")
    }

    pub async fn until_status(&self, instance: &Instance, status: Status) -> Instance {
        until(&format!("{status}"), async || {
            let loaded = self.load(instance).await;
            (loaded.observed.status == status).then_some(loaded)
        })
        .await
    }
}
