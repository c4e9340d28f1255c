//! The API and a daemon on one table, each behind a meter of its own, and the sandbox.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use daemon::whatsapp::NETWORK;
use sandbox::Sandbox;
use shared::bucket::Bucket;
use shared::clock::{Clock, SystemClock};
use shared::ids::{InstanceId, MessageId};
use shared::storage::Table;
use shared::storage::counters::{Counters, Counts};
use shared::storage::messages::Messages;
use testbed::caller::Bases;
use testbed::queues::{Counted, Through, queues};
use testbed::relay::Relay;
use testbed::rights::{self, Role};
use testbed::table::{Database, patient};
use testbed::world::Keys;
use tests::flow::Paired;
use tests::inside::{self, Inside, Stores};
use tests::phones::Phones;

const SHARDS: u32 = 1;

pub struct World {
    pub bases: Bases,
    pub phones: Phones,
    pub api_meter: Relay,
    pub daemon_meter: Relay,
    pub queue: Arc<Through<Counted>>,
    /// The API's bucket, and the daemon's.
    pub buckets: [Bucket; 2],
    /// The table past all meters.
    pub table: Table,
    _inside: Inside,
    _sandbox: Sandbox,
    _keys: Keys,
    _database: Database,
}

impl World {
    pub async fn start() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let network = sandbox::Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let sandbox = Sandbox::start(network).await.expect("a sandbox");
        let database = Database::start().await;
        let endpoint = &database.endpoint;
        let (api_meter, daemon_meter) = (Relay::metering(endpoint).await, Relay::metering(endpoint).await);
        daemon_meter.record();
        let (queue, names) = queues(clock.clone(), NETWORK, SHARDS).await;
        let queue = Arc::new(Through(Counted::new(Arc::new(queue))));
        let keys = Keys::new();
        let stores = Stores {
            api: patient(api_meter.endpoint()),
            daemon: patient(daemon_meter.endpoint()),
            queue: queue.clone(),
            names,
            shards: SHARDS,
            keys: &keys,
            clock,
        };
        let inside = Inside::start(stores, &sandbox).await;
        Self {
            bases: inside.bases.clone(),
            phones: Phones::new(&sandbox.admin_url()),
            api_meter,
            daemon_meter,
            queue,
            buckets: inside.buckets.clone(),
            table: database.table(),
            _inside: inside,
            _sandbox: sandbox,
            _keys: keys,
            _database: database,
        }
    }

    /// Fails where the daemon has made a call to the table that its policies do not allow.
    #[track_caller]
    pub fn daemon_kept_to_its_rights(&self) {
        let calls = self.daemon_meter.take_calls();
        assert!(
            calls.iter().any(|call| call.body.contains("sess#")),
            "they are noted"
        );
        let denied = rights::denied(Role::Daemon, &calls);
        assert!(denied.is_empty(), "{denied:?}");
    }

    /// The id of a paired instance.
    pub async fn instance(&self, paired: &Paired) -> InstanceId {
        inside::instance(paired).await
    }

    pub async fn state(&self, instance: InstanceId, message: &str) -> String {
        let id: MessageId = message.parse().expect("an id");
        let record = Messages::new(self.table.clone()).get(instance, id).await;
        record.expect("read").expect("a record").state.to_string()
    }

    /// Lets a phone be `online` or `offline`.
    pub async fn phone_is(&self, phone: &str, how: &str) {
        let path = format!("/admin/phones/{phone}/{how}");
        self.phones.post(&path, &serde_json::json!({})).await;
    }

    /// Asks for all events of an instance, and waits until its daemon knows.
    pub async fn listen(&self, id: InstanceId) {
        inside::listen(&self.table, self.queue.as_ref(), id).await;
    }

    pub async fn counts(&self, instance: InstanceId) -> Counts {
        let today = SystemClock.now().date_naive();
        let days = Counters::new(self.table.clone())
            .list_days(instance, today - chrono::TimeDelta::days(1), today)
            .await
            .expect("read");
        let mut sum = Counts::default();
        for (_, counts) in &days {
            sum.add(counts);
        }
        sum
    }
}
