//! A network under trouble: daemons as processes, the API, the sandbox, and a relay before the table and the queues.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use daemon::whatsapp::NETWORK;
use functions::service::{self, States};
use futures::future::join_all;
use sandbox::Sandbox;
use shared::clock::{Clock, SystemClock};
use shared::ids::InstanceId;
use shared::mail::NoMailer;
use shared::queue::QueueNames;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::sqs::SqsQueue;
use shared::seal::{self, Purpose, Sealer};
use shared::storage::Table;
use shared::storage::leases::Leases;
use testbed::bucket::in_directory;
use testbed::caller::Bases;
use testbed::relay::Relay;
use testbed::served::Served;
use testbed::sqs::SqsStandIn;
use testbed::table::{Database, table};
use testbed::wait::until;
use tests::daemon_process::{DaemonProcess, Surroundings};
use tests::flow::{Paired, pair};
use tests::phones::Phones;

const DAEMON: &str = env!("CARGO_BIN_EXE_daemon-under-test");

/// Shards of the network: more than daemons, so that each has some.
pub const SHARDS: u32 = 4;

/// Instances, each of an owner of its own.
const INSTANCES: usize = 4;

/// People who write with each instance.
const PEOPLE: usize = 3;

/// An instance, and whom it writes with.
pub struct Line {
    pub paired: Paired,
    pub id: InstanceId,
    /// The numbers of the people.
    pub people: Vec<String>,
}

pub struct World {
    /// Between everybody and the table.
    pub table: Relay,
    /// Between everybody and the queues.
    pub queue: Relay,
    pub daemons: Vec<DaemonProcess>,
    pub lines: Vec<Line>,
    pub phones: Phones,
    /// The table past the relay.
    pub records: Table,
    /// The queues past the relay.
    pub queues: Arc<EmbeddedQueue>,
    pub names: QueueNames,
    directory: PathBuf,
    surroundings: Surroundings,
    started: usize,
    _sandbox: Sandbox,
    _sqs: SqsStandIn,
    _database: Database,
    _api: Served,
}

impl World {
    /// Starts all of it with so many daemons, and pairs the instances. Logs and keys are in a directory of this name.
    pub async fn start(name: &str, daemons: usize) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join("outage")
            .join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a directory");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let network = sandbox::Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let sandbox = Sandbox::start(network).await.expect("a sandbox");
        let database = Database::start().await;
        let (queues, names) = testbed::queues::queues(clock.clone(), NETWORK, SHARDS).await;
        let queues = Arc::new(queues);
        let sqs = SqsStandIn::over(queues.clone()).await;
        let (table, queue) = (
            Relay::before(&database.endpoint).await,
            Relay::before(sqs.endpoint()).await,
        );
        let key_file = directory.join("wrapping.key");
        let api = serve(&table, &queue, key_file.clone(), clock).await;
        let bases = Bases::one(&api.url());
        let surroundings = Surroundings {
            table: table.endpoint().to_owned(),
            queue: queue.endpoint().to_owned(),
            sandbox: sandbox.ws_url(),
            key_file,
            shards: SHARDS,
            variables: Vec::new(),
        };
        let mut world = Self {
            table,
            queue,
            daemons: Vec::new(),
            lines: Vec::new(),
            phones: Phones::new(&sandbox.admin_url()),
            records: database.table(),
            queues,
            names,
            directory,
            surroundings,
            started: 0,
            _sandbox: sandbox,
            _sqs: sqs,
            _database: database,
            _api: api,
        };
        for _ in 0..daemons {
            world.add_daemon().await;
        }
        world.until_shared_out().await;
        world.lines = join_all((0..INSTANCES).map(|_| line(&bases, &world.phones))).await;
        world
    }

    pub async fn add_daemon(&mut self) {
        let log = self.directory.join(format!("daemon-{}.log", self.started));
        self.started += 1;
        self.daemons
            .push(DaemonProcess::start(DAEMON, &log, &self.surroundings).await);
    }

    /// Waits until every daemon has shards. While these change hands QR codes come and go.
    async fn until_shared_out(&self) {
        let leases = Leases::new(self.records.clone(), NETWORK);
        until("every daemon's share", async || {
            let leases = leases.list_all().await.expect("read");
            let owners: BTreeSet<String> = leases.iter().filter_map(|lease| lease.owner.clone()).collect();
            (leases.len() == SHARDS as usize && owners.len() == self.daemons.len()).then_some(())
        })
        .await;
    }

    /// How often each shard has been taken, in the order of the shards.
    pub async fn takes(&self) -> Vec<u64> {
        let leases = Leases::new(self.records.clone(), NETWORK);
        let mut leases = leases.list_all().await.expect("read");
        leases.sort_by_key(|lease| lease.shard);
        leases.iter().map(|lease| lease.token).collect()
    }

    /// The silence after which a daemon's shards are another's: the default.
    pub const LEASE: Duration = Duration::from_secs(4);
}

async fn line(bases: &Bases, phones: &Phones) -> Line {
    let paired = pair(bases, phones).await;
    let shown = paired
        .user
        .get(&format!("/api/instances/{}", paired.instance))
        .await;
    let id = shown.data(200)["id"].as_str().expect("an id").parse();
    let people = join_all((0..PEOPLE).map(|_| phones.create("Person"))).await;
    Line {
        paired,
        id: id.expect("an instance's"),
        people,
    }
}

/// The API on the same table and queues.
async fn serve(reached: &Relay, queue: &Relay, key_file: PathBuf, clock: Arc<dyn Clock>) -> Served {
    let directory = key_file.parent().expect("a directory").to_owned();
    let config = testbed::config::functions(SHARDS, key_file);
    let aws = shared::aws::stand_in(queue.endpoint());
    let queues = Arc::new(SqsQueue::from_config(&aws));
    let records = table(reached.endpoint());
    let wrapper = seal::wrapper(&aws, &config.wrapping).expect("a key file");
    let sealer = Sealer::new(records.clone(), wrapper)
        .restricted_to(&[Purpose::Content])
        .making_no_keys();
    let sealer = Arc::new(sealer);
    let bucket = in_directory(
        &directory,
        "http://waxwing.example",
        sealer.clone(),
        clock.clone(),
    );
    let states = States::new(
        &config,
        records,
        queues,
        sealer,
        bucket,
        Arc::new(NoMailer),
        clock,
    );
    Served::start(service::all(states.expect("a queue prefix"))).await
}
