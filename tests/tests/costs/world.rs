//! The API and a daemon on one table, each behind a meter of its own, and the sandbox.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use daemon::app::{App, Parts};
use daemon::whatsapp::{NETWORK, Settings};
use functions::state::AppState;
use sandbox::Sandbox;
use shared::clock::{Clock, SystemClock};
use shared::config::{Common, Functions, JwtSecret, Secret, Wrapping};
use shared::ids::{InstanceId, MessageId};
use shared::mail::NoMailer;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{QueueNames, names};
use shared::seal::{self, Purpose, Sealer};
use shared::storage::Table;
use shared::storage::counters::{Counters, Counts};
use shared::storage::messages::Messages;
use tempfile::TempDir;
use tests::api::Bases;
use tests::phones::Phones;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::meter::Meter;
use crate::sends::Counted;

const SHARDS: u32 = 1;

pub struct World {
    pub bases: Bases,
    pub phones: Phones,
    pub api_meter: Meter,
    pub daemon_meter: Meter,
    pub queue: Arc<Counted>,
    /// The table past all meters.
    pub table: Table,
    _sandbox: Sandbox,
    _directory: TempDir,
    _running: [DropGuard; 3],
}

impl World {
    pub async fn start() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let directory = tempfile::tempdir().expect("a directory");
        let config = sandbox::Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let sandbox = Sandbox::start(config).await.expect("a sandbox");
        let (endpoint, database) = database().await;
        let (api_meter, daemon_meter) = (Meter::before(&endpoint).await, Meter::before(&endpoint).await);
        let table = |endpoint: &str| Table::new(&shared::aws::stand_in(endpoint), "waxwing");
        table(&endpoint).create_if_absent().await.expect("created");

        let queue = EmbeddedQueue::open(None, clock.clone()).expect("opened");
        let queue = Arc::new(Counted::new(queue));
        let queue_names = QueueNames::new("waxwing", NETWORK.as_str()).expect("names");
        names::ensure_all(queue.as_ref(), &queue_names, SHARDS)
            .await
            .expect("created");
        let common = Common {
            table: "waxwing".to_owned(),
            shards: SHARDS,
            queue_prefix: "waxwing".to_owned(),
            wrapping: Wrapping::File(directory.path().join("wrapping.key")),
        };
        let secret = JwtSecret {
            kid: "test".to_owned(),
            secret: Secret::new("a secret of 32 bytes and a few more"),
        };
        let config = Functions {
            bcrypt_cost: 4,
            ..Functions::new(common, vec![NETWORK], vec![secret])
        };
        let wrapper =
            seal::wrapper(&shared::aws::stand_in(&endpoint), &config.common.wrapping).expect("a key file");
        let parts = Parts {
            table: table(&daemon_meter.endpoint),
            queue: queue.clone(),
            names: queue_names,
            sealer: Arc::new(Sealer::new(table(&daemon_meter.endpoint), wrapper.clone())),
            clock: clock.clone(),
            shards: SHARDS,
            lease: Duration::from_secs(4),
            settings: Settings::for_network(&sandbox.ws_url()),
        };
        let app = App::start(parts, Some(NETWORK)).await.expect("a daemon");
        let api_table = table(&api_meter.endpoint);
        let sealer = Sealer::new(api_table.clone(), wrapper).restricted_to(&[Purpose::Content]);
        let (queues, sealer) = (queue.clone(), Arc::new(sealer));
        let state =
            AppState::new(&config, api_table, queues, sealer, Arc::new(NoMailer), clock).expect("a state");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (stop_api, stop_daemon) = (CancellationToken::new(), CancellationToken::new());
        let service = functions::all(state).into_make_service_with_connect_info::<SocketAddr>();
        let stopped = stop_api.clone().cancelled_owned();
        tokio::spawn(async move {
            axum::serve(listener, service)
                .with_graceful_shutdown(stopped)
                .await
        });
        tokio::spawn(app.run(stop_daemon.clone()));
        Self {
            bases: Bases::one(&format!("http://{address}")),
            phones: Phones::new(&sandbox.admin_url()),
            api_meter,
            daemon_meter,
            queue,
            table: table(&endpoint),
            _sandbox: sandbox,
            _directory: directory,
            _running: [stop_api.drop_guard(), stop_daemon.drop_guard(), database],
        }
    }

    pub async fn state(&self, instance: InstanceId, message: &str) -> String {
        let id: MessageId = message.parse().expect("an id");
        let record = Messages::new(self.table.clone()).get(instance, id).await;
        record.expect("read").expect("a record").state.to_string()
    }

    pub async fn counts(&self, instance: InstanceId) -> Counts {
        let today = SystemClock.now().date_naive();
        let days = Counters::new(self.table.clone())
            .days(instance, today - chrono::TimeDelta::days(1), today)
            .await
            .expect("read");
        let mut sum = Counts::default();
        for (_, counts) in &days {
            sum.add(counts);
        }
        sum
    }
}

async fn database() -> (String, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let database = dynoxide::Database::memory().expect("opened");
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(async move { dynoxide::server::serve_with_shutdown(listener, database, stopped).await });
    (format!("http://{address}"), stop.drop_guard())
}
