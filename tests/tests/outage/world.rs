//! A network under trouble: daemons as processes, the API, the sandbox, and a relay before the table and the queues.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use sandbox::Sandbox;
use shared::ids::InstanceId;
use shared::seal;
use testbed::caller::Bases;
use tests::daemon_process::DaemonProcess;
use tests::deployment::{Api, Starter, Stores};
use tests::flow::{Paired, pair};
use tests::inside;
use tests::phones::Phones;

pub const DAEMON: &str = env!("CARGO_BIN_EXE_daemon-under-test");

/// Shards of the network: more than daemons, so that each has some.
const SHARDS: u32 = 4;

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
    pub stores: Stores,
    pub daemons: Vec<DaemonProcess>,
    pub lines: Vec<Line>,
    pub phones: Phones,
    starter: Starter,
    _sandbox: Sandbox,
    _api: Api,
}

impl World {
    /// Starts all of it with so many daemons, and pairs the instances. Logs and keys are in a directory of this name.
    pub async fn start(name: &str, daemons: usize) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join("outage")
            .join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a directory");
        let network = sandbox::Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let sandbox = Sandbox::start(network).await.expect("a sandbox");
        let stores = Stores::start(SHARDS).await;
        let config = testbed::config::functions(SHARDS, directory.join("wrapping.key"));
        let aws = shared::aws::stand_in(stores.queue.endpoint());
        let wrapper = seal::wrapper(&aws, &config.wrapping).expect("a key file");
        let api = Api::start(&stores, &config, wrapper, &directory).await;
        let bases = Bases::one(&api.url());
        let surroundings = stores.over_relays(sandbox.ws_url(), config.wrapping, directory);
        let mut world = Self {
            stores,
            daemons: Vec::new(),
            lines: Vec::new(),
            phones: Phones::new(&sandbox.admin_url()),
            starter: Starter::of(DAEMON, surroundings),
            _sandbox: sandbox,
            _api: api,
        };
        for _ in 0..daemons {
            world.add_daemon().await;
        }
        world.stores.until_shared_out(daemons).await;
        world.lines = join_all((0..INSTANCES).map(|_| line(&bases, &world.phones))).await;
        world
    }

    pub async fn add_daemon(&mut self) {
        self.daemons.push(self.starter.start().await);
    }

    /// How often each shard has been taken, in the order of the shards.
    pub async fn takes(&self) -> Vec<u64> {
        let mut leases = self.stores.leases().list_all().await.expect("read");
        leases.sort_by_key(|lease| lease.shard);
        leases.iter().map(|lease| lease.token).collect()
    }

    /// The silence after which a daemon's shards are another's: the default.
    pub const LEASE: Duration = Duration::from_secs(4);
}

async fn line(bases: &Bases, phones: &Phones) -> Line {
    let paired = pair(bases, phones).await;
    Line {
        id: inside::instance(&paired).await,
        people: join_all((0..PEOPLE).map(|_| phones.create("Person"))).await,
        paired,
    }
}
