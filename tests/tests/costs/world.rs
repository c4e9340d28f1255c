//! The API and a daemon on one table, each behind a meter of its own, and the sandbox.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use daemon::app::{App, Parts};
use daemon::files;
use daemon::whatsapp::{NETWORK, Settings};
use functions::service::{self, States};
use sandbox::Sandbox;
use shared::bucket::Bucket;
use shared::clock::{Clock, SystemClock};
use shared::domain::event::Wants;
use shared::domain::job::Query;
use shared::domain::payload;
use shared::ids::{InstanceId, MessageId};
use shared::mail::NoMailer;
use shared::queue::{OutgoingMessage, Queue as _, QueueNames};
use shared::seal::{Purpose, Sealer};
use shared::storage::Table;
use shared::storage::counters::{Counters, Counts};
use shared::storage::instances::Instances;
use shared::storage::messages::Messages;
use testbed::caller::Bases;
use testbed::queues::{Through, queues};
use testbed::relay::Relay;
use testbed::served::Served;
use testbed::table::{Database, table};
use testbed::wait::until;
use testbed::world::Keys;
use tests::flow::Paired;
use tests::phones::Phones;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::sends::Counted;

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
    _sandbox: Sandbox,
    _keys: Keys,
    _database: Database,
    _api: Served,
    _daemon: DropGuard,
}

impl World {
    pub async fn start() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let network = sandbox::Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let sandbox = Sandbox::start(network).await.expect("a sandbox");
        let database = Database::start().await;
        let endpoint = &database.endpoint;
        let (api_meter, daemon_meter) = (Relay::metering(endpoint).await, Relay::metering(endpoint).await);

        let (queue, queue_names) = queues(clock.clone(), NETWORK, SHARDS).await;
        let queue = Arc::new(Through(Counted::new(queue)));
        let keys = Keys::new();
        let config = testbed::config::functions(SHARDS, keys.file());
        let sealer = Arc::new(keys.sealer(&table(daemon_meter.endpoint())));
        let bucket = |sealer: &Arc<Sealer>| {
            let sealer = Arc::clone(sealer);
            testbed::bucket::in_directory(keys.directory(), "http://waxwing.example", sealer, clock.clone())
        };
        let daemons = bucket(&sealer);
        let parts = Parts {
            bucket: daemons.clone(),
            table: table(daemon_meter.endpoint()),
            beats: table(daemon_meter.endpoint()),
            queue: queue.clone(),
            names: queue_names,
            sealer,
            clock: clock.clone(),
            shards: SHARDS,
            lease: Duration::from_secs(4),
            starts: 16,
            queue_limits: shared::config::QueueLimits::default(),
            settings: Settings::for_network(&sandbox.ws_url())
                .with_sandbox_ca(Some(sandbox.ca_pem().to_owned())),
            files: files::Settings::default(),
            realtime: None,
        };
        let app = App::start(parts, Some(NETWORK)).await.expect("a daemon");
        let api_table = table(api_meter.endpoint());
        let sealer = keys.sealer(&api_table).restricted_to(&[Purpose::Content]);
        let (queues, sealer) = (queue.clone(), Arc::new(sealer));
        let apis = bucket(&sealer);
        let states = States::new(
            &config,
            api_table,
            queues,
            sealer,
            apis.clone(),
            Arc::new(NoMailer),
            clock,
        );
        let server = Served::start(service::all(states.expect("a queue prefix"))).await;
        let stop_daemon = CancellationToken::new();
        tokio::spawn(app.run(stop_daemon.clone()));
        Self {
            bases: Bases::one(&server.url()),
            phones: Phones::new(&sandbox.admin_url()),
            api_meter,
            daemon_meter,
            queue,
            buckets: [apis, daemons],
            table: database.table(),
            _sandbox: sandbox,
            _keys: keys,
            _database: database,
            _api: server,
            _daemon: stop_daemon.drop_guard(),
        }
    }

    /// The id of a paired instance.
    pub async fn instance(&self, paired: &Paired) -> InstanceId {
        let path = format!("/api/instances/{}", paired.instance);
        let instance = paired.user.get(&path).await.data(200);
        instance["id"]
            .as_str()
            .expect("an id")
            .parse()
            .expect("an instance's")
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
        let instances = Instances::new(self.table.clone());
        let instance = instances
            .get_of_any(id)
            .await
            .expect("read")
            .expect("it is there");
        let wants = Wants::everything();
        let listening = instances.want_events(instance.subscription, id, &wants);
        assert!(listening.await.expect("stored"));
        let names = QueueNames::new("waxwing", NETWORK.as_str()).expect("names");
        let queries = names.queries(instance.shard.0);
        let nudge = OutgoingMessage::standard(payload::encode(&Query::Nudge { instance: id }));
        self.queue.send(&queries, nudge).await.expect("queued");
        until("the end of the nudge", async || {
            let depth = self.queue.depth(&queries).await.expect("read");
            (depth.visible + depth.in_flight == 0).then_some(())
        })
        .await;
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
