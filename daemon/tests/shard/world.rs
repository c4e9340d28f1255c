//! A table, queues, and instances in them.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use shared::clock::{Clock as _, SteppedClock, SystemClock};
use shared::domain::event::{Untold, Wants};
use shared::domain::instance::{Desired, Instance, Observed, Status, Wanted};
use shared::domain::job::Query;
use shared::domain::network::Network as NetworkName;
use shared::domain::payload;
use shared::domain::shard::Shard;
use shared::ids::{InstanceId, SubscriptionId};
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{OutgoingMessage, Queue as _, QueueNames, deployment};
use shared::seal::Sealer;
use shared::storage::Table;
use shared::storage::counters::Counters;
use shared::storage::instances::{Created, Instances, Suspended};
use shared::storage::keys;
use shared::storage::leases::Leases;
use shared::storage::messages::Messages;
use tempfile::TempDir;
use tokio_util::sync::DropGuard;

use crate::embedded;
use crate::queue::Watched;
use crate::wait::until;

pub const NETWORK: NetworkName = NetworkName::Sandbox;
pub const SUBSCRIPTION: SubscriptionId = SubscriptionId::from_bytes([9; 16]);

pub struct World {
    pub table: Table,
    pub clock: SteppedClock,
    pub queue: Arc<Watched>,
    pub names: QueueNames,
    pub sealer: Arc<Sealer>,
    pub instances: Instances,
    pub messages: Messages,
    pub counters: Counters,
    pub leases: Leases,
    pub endpoint: String,
    pub shards: u32,
    pub directory: TempDir,
    _server: DropGuard,
}

impl World {
    /// A world of one shard.
    pub async fn new() -> Self {
        Self::of(1).await
    }

    pub async fn of(shards: u32) -> Self {
        let (endpoint, server) = embedded::database().await;
        let table = embedded::table(&endpoint).await;
        let mut subscription = keys::subscription(SUBSCRIPTION).attributes();
        subscription.insert("active".to_owned(), AttributeValue::Bool(true));
        table
            .client()
            .put_item()
            .table_name(table.name())
            .set_item(Some(subscription))
            .send()
            .await
            .expect("stored");
        // Visibility runs by the machine's clock: what is hidden comes back by itself.
        let queue = EmbeddedQueue::open(None, Arc::new(SystemClock)).expect("opened");
        let queue = Arc::new(Watched::new(queue));
        let names = QueueNames::new("waxwing", NETWORK.as_str()).expect("names");
        deployment::ensure_all(queue.as_ref(), &names, shards)
            .await
            .expect("created");
        let directory = tempfile::tempdir().expect("a directory");
        Self {
            clock: embedded::clock(),
            sealer: embedded::sealer(&table, directory.path()),
            instances: Instances::new(table.clone()),
            messages: Messages::new(table.clone()),
            counters: Counters::new(table.clone()),
            leases: Leases::new(table.clone(), NETWORK),
            table,
            queue,
            names,
            endpoint,
            shards,
            directory,
            _server: server,
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// An instance of the first shard that is wanted connected.
    pub async fn instance(&self, name: &str) -> Instance {
        self.instance_of(name, Shard(0)).await
    }

    pub async fn instance_of(&self, name: &str, shard: Shard) -> Instance {
        let instance = Instance {
            id: InstanceId::new(self.now()),
            subscription: SUBSCRIPTION,
            name: name.parse().expect("a name"),
            network: NETWORK,
            shard,
            metadata: std::collections::BTreeMap::new(),
            created_at: self.now(),
            desired: Desired {
                wanted: Wanted::Connected,
                generation: 1,
                restart: 0,
                pairing: None,
                unlink_asked_at: None,
            },
            suspended: false,
            observed: Observed {
                status: Status::Disconnected,
                since: self.now(),
                reason: None,
                last_error: None,
                last_round_trip_at: None,
                qr: None,
                pairing_code: None,
                generation: 0,
                pause: None,
                untold: Untold::default(),
            },
            fence: None,
            account: None,
            wants: Wants::default(),
        };
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

    /// Switches the subscription as the API does, with what follows for its instances.
    /// Stores this text in an item, as a newer version may.
    pub async fn store_text(&self, key: keys::Key, name: &str, value: &str) {
        let stored = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(key.attributes()))
            .update_expression("SET #name = :value")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", AttributeValue::S(value.to_owned()))
            .send();
        stored.await.expect("stored");
    }

    pub async fn set_active(&self, active: bool) {
        let sent = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::subscription(SUBSCRIPTION).attributes()))
            .update_expression("SET active = :active")
            .expression_attribute_values(":active", AttributeValue::Bool(active))
            .send();
        sent.await.expect("stored");
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
