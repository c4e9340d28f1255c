//! The API and a daemon on one table, each behind a meter of its own, and the sandbox.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use daemon::app::{App, Parts};
use daemon::whatsapp::{NETWORK, Settings};
use functions::service::States;
use relay::Relay;
use sandbox::Sandbox;
use shared::clock::{Clock, SystemClock};
use shared::config::{Common, Functions, JwtSecret, Secret, Wrapping};
use shared::domain::event::Wants;
use shared::domain::job::Query;
use shared::domain::payload;
use shared::ids::{InstanceId, MessageId};
use shared::mail::NoMailer;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{OutgoingMessage, Queue as _, QueueNames, deployment};
use shared::seal::{self, Purpose, Sealer};
use shared::storage::Table;
use shared::storage::counters::{Counters, Counts};
use shared::storage::instances::Instances;
use shared::storage::messages::Messages;
use tempfile::TempDir;
use tests::api::Bases;
use tests::database::{Database, table};
use tests::phones::Phones;
use tests::wait::until;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::sends::Counted;

const SHARDS: u32 = 1;

pub struct World {
    pub bases: Bases,
    pub phones: Phones,
    pub api_meter: Relay,
    pub daemon_meter: Relay,
    pub queue: Arc<Counted>,
    /// The table past all meters.
    pub table: Table,
    _sandbox: Sandbox,
    _directory: TempDir,
    _database: Database,
    _running: [DropGuard; 2],
}

impl World {
    pub async fn start() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let directory = tempfile::tempdir().expect("a directory");
        let network = sandbox::Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let sandbox = Sandbox::start(network).await.expect("a sandbox");
        let database = Database::start().await;
        let endpoint = &database.endpoint;
        let (api_meter, daemon_meter) = (Relay::metering(endpoint).await, Relay::metering(endpoint).await);

        let queue = EmbeddedQueue::open(None, clock.clone()).expect("opened");
        let queue = Arc::new(Counted::new(queue));
        let queue_names = QueueNames::new("waxwing", NETWORK.as_str()).expect("names");
        deployment::ensure_all(queue.as_ref(), &queue_names, SHARDS)
            .await
            .expect("created");
        let config = config(directory.path());
        let wrapper = seal::wrapper(&shared::aws::stand_in(endpoint), &config.wrapping).expect("a key file");
        let parts = Parts {
            table: table(daemon_meter.endpoint()),
            beats: table(daemon_meter.endpoint()),
            queue: queue.clone(),
            names: queue_names,
            sealer: Arc::new(Sealer::new(table(daemon_meter.endpoint()), wrapper.clone())),
            clock: clock.clone(),
            shards: SHARDS,
            lease: Duration::from_secs(4),
            starts: 16,
            settings: Settings::for_network(&sandbox.ws_url()),
        };
        let app = App::start(parts, Some(NETWORK)).await.expect("a daemon");
        let api_table = table(api_meter.endpoint());
        let sealer = Sealer::new(api_table.clone(), wrapper).restricted_to(&[Purpose::Content]);
        let (queues, sealer) = (queue.clone(), Arc::new(sealer));
        let states = States::new(&config, api_table, queues, sealer, Arc::new(NoMailer), clock);
        let (bases, server) = serve(states.expect("a queue prefix")).await;
        let stop_daemon = CancellationToken::new();
        tokio::spawn(app.run(stop_daemon.clone()));
        Self {
            bases,
            phones: Phones::new(&sandbox.admin_url()),
            api_meter,
            daemon_meter,
            queue,
            table: database.table(),
            _sandbox: sandbox,
            _directory: directory,
            _database: database,
            _running: [server, stop_daemon.drop_guard()],
        }
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

/// One shard, cheap passwords, and a wrapping key in this directory.
pub fn config(directory: &Path) -> Functions {
    let common = Common {
        table: "waxwing".to_owned(),
        shards: SHARDS,
        queue_prefix: "waxwing".to_owned(),
    };
    let wrapping = Wrapping::File(directory.join("wrapping.key"));
    let secret = JwtSecret {
        kid: "test".to_owned(),
        secret: Secret::new("a secret of 32 bytes and a few more"),
    };
    let mut config = Functions::new(common, vec![NETWORK], vec![secret], wrapping);
    config.users.bcrypt_cost = 4;
    config
}

/// Serves the API: where, until the guard is dropped.
pub async fn serve(states: States) -> (Bases, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    let service = functions::service::all(states).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move {
        axum::serve(listener, service)
            .with_graceful_shutdown(stopped)
            .await
    });
    (Bases::one(&format!("http://{address}")), stop.drop_guard())
}
