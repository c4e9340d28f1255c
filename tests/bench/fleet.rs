//! A deployment whose daemons are processes of their own. The table, the queues and the API are in this process, and the sandbox
//! is where it was started.

use std::process::Stdio;
use std::time::Duration;

use daemon::whatsapp::NETWORK;
use serde_json::json;
use shared::domain::account::Tier;
use shared::domain::instance::Status;
use shared::domain::shard::Shard;
use shared::ids::{InstanceId, SubscriptionId};
use shared::storage::accounts::{Accounts, SubscriptionChange, SubscriptionChanged};
use shared::storage::instances::Instances;
use shared::storage::leases::{Lease, Leases};
use testbed::caller::{Bases, Caller};
use testbed::wait::{in_time, look_for};
use testbed::world::Keys;
use tests::daemon_process::{DaemonProcess, Surroundings};
use tests::deployment::{Api, Starter, Stores};
use tests::flow::unique;
use tests::phones::Phones;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The binaries of a daemon and of a sandbox, which are built beside this one.
const DAEMON: &str = "daemon-under-test";
const SANDBOX: &str = "sandbox";

/// How often it is looked whether something has come: each look takes time that what is measured needs.
const LOOK: Duration = Duration::from_millis(100);

/// How long a QR code may take to come, and instances to connect.
const PATIENCE: Duration = Duration::from_mins(5);

/// The name of every instance: each has an owner of its own.
const INSTANCE: &str = "main";

/// Limits that nobody reaches, in requests a minute.
const UNLIMITED: u32 = 1_000_000;

/// A sandbox in a process of its own, which keeps nothing. Killed when dropped.
pub struct Network {
    /// The WebSocket for clients.
    pub clients: String,
    /// The base URL of the admin API.
    pub admin: String,
    child: Child,
}

impl Network {
    /// Starts one, and waits until it says where it is.
    pub async fn start() -> Self {
        let mut child = Command::new(program(SANDBOX))
            .args(["--port", "0", "--ephemeral"])
            .env("RUST_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the sandbox starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let reading = async {
            let mut clients = None;
            while let Some(line) = lines.next_line().await.expect("readable") {
                if let Some(url) = line.strip_prefix("WhatsApp clients:") {
                    clients = Some(url.trim().to_owned());
                }
                if let Some(url) = line.strip_prefix("Admin API:") {
                    let admin = url.trim().strip_suffix("/admin").expect("its root");
                    return (clients.expect("the clients' URL comes first"), admin.to_owned());
                }
            }
            panic!("the sandbox has ended");
        };
        let (clients, admin) = in_time("the sandbox's start", reading).await;
        Self {
            clients,
            admin,
            child,
        }
    }

    /// Ends it. There is nothing to keep.
    pub async fn end(mut self) {
        self.child.kill().await.expect("it can be killed");
    }
}

/// An instance that is paired.
pub struct Line {
    /// Its id.
    pub id: InstanceId,
    /// The subscription of its owner, who has no other instance.
    pub subscription: SubscriptionId,
    /// The shard that it keeps.
    pub shard: Shard,
    /// A caller with a key of it.
    pub key: Caller,
    /// The number of the phone that it is linked to.
    pub own: String,
}

/// The deployment without its daemons. Nobody reaches the stores over their relays who is not told to.
pub struct Fleet {
    /// The sandbox's phones.
    pub phones: Phones,
    /// The table and the queues.
    pub stores: Stores,
    instances: Instances,
    leases: Leases,
    api: Caller,
    starter: Starter,
    _keys: Keys,
    _api: Api,
}

impl Fleet {
    /// Starts one on the sandbox with this WebSocket and this admin API. Daemons get these variables.
    pub async fn start(
        clients: &str,
        admin: &str,
        shards: u32,
        variables: Vec<(&'static str, String)>,
    ) -> Self {
        let (stores, keys) = (Stores::start(shards).await, Keys::new());
        let mut config = testbed::config::functions(shards, keys.file());
        config.users.user_rate = UNLIMITED;
        config.auth.auth_rate = UNLIMITED;
        let serving = Api::past_relays(&stores, &config, keys.wrapper(), keys.directory());
        let api = Box::pin(serving).await;
        let surroundings = Surroundings {
            variables,
            ..stores.past_relays(clients.to_owned(), config.wrapping, keys.directory().to_owned())
        };
        Self {
            phones: Phones::new(admin),
            instances: Instances::new(stores.records.clone()),
            leases: stores.leases(),
            api: Caller::over_http(Bases::one(&api.url())),
            starter: Starter::of(program(DAEMON), surroundings),
            stores,
            _keys: keys,
            _api: api,
        }
    }

    /// Where daemons reach the table, unless they are told otherwise.
    pub fn table(&self) -> &str {
        self.starter.table()
    }

    /// Starts a daemon.
    pub async fn daemon(&self) -> DaemonProcess {
        self.starter.start().await
    }

    /// Starts a daemon that reaches the table at this address.
    pub async fn daemon_on(&self, table: &str) -> DaemonProcess {
        self.starter.start_on(table).await
    }

    /// Registers a user, and links an instance of it to a phone of its own.
    pub async fn pair(&self) -> Line {
        let user = self.api.register(&format!("{}@example.com", unique())).await;
        let id = user.instance(INSTANCE).await;
        let key = user.key_with(INSTANCE, json!({"rateLimit": UNLIMITED})).await;
        let own = self.phones.create("Owner").await;
        let path = format!("/api/instances/{INSTANCE}/connect");
        user.post(&path, ()).await.data(202);
        let path = format!("/api/instances/{INSTANCE}/qr");
        let code = look_for(LOOK, PATIENCE, async || {
            let answer = user.get(&path).await;
            (answer.status == 200).then(|| answer.data(200)["code"].clone())
        })
        .await
        .expect("a QR code");
        self.phones.scan(&own, code.as_str().expect("a text")).await;
        let id: InstanceId = id.parse().expect("an instance's");
        let stored = Box::pin(self.instances.get_of_any(id)).await.expect("read");
        let stored = stored.expect("it was made");
        Line {
            id,
            subscription: stored.subscription,
            shard: stored.shard,
            key,
            own,
        }
    }

    /// Allows an instance's owner as many texts in a month as anybody may have.
    pub async fn allow_most(&self, line: &Line) {
        let accounts = Accounts::new(self.stores.records.clone());
        let change = SubscriptionChange {
            tier: Some(Tier::Max),
            ..SubscriptionChange::default()
        };
        let changing = accounts.update_subscription(line.subscription, change);
        let changed = Box::pin(changing).await.expect("stored");
        assert!(matches!(changed, SubscriptionChanged::Done(_)), "{changed:?}");
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        usize::try_from(self.stores.shards).expect("small")
    }

    /// The shards' leases, as far as they were ever taken.
    pub async fn leases(&self) -> Vec<Lease> {
        Box::pin(self.leases.list_all()).await.expect("read")
    }

    /// Waits until so many instances are connected, as the API would show it; answers whether they are.
    pub async fn until_connected(&self, wanted: usize) -> bool {
        let most = u64::try_from(wanted).expect("small");
        let all = look_for(LOOK, PATIENCE, async || {
            // What the network counts costs less to read than the instances.
            let clients = self.phones.get("/admin/stats").await["clients"].as_u64();
            let has_come = clients >= Some(most) && self.connected().await >= wanted;
            has_come.then_some(())
        });
        if all.await.is_some() {
            return true;
        }
        let found = self.connected().await;
        println!("{found} of {wanted} instances are connected");
        false
    }

    /// How many instances are connected by the word of whoever has their shard.
    async fn connected(&self) -> usize {
        let mut connected = 0;
        for lease in self.leases().await {
            if lease.owner.is_none() {
                continue;
            }
            let listing = self.instances.list_recent_by_shard(NETWORK, lease.shard);
            let instances = Box::pin(listing).await.expect("read");
            let shown = instances.iter().filter(|instance| {
                instance.observed.status == Status::Connected && instance.fence == Some(lease.token)
            });
            connected += shown.count();
        }
        connected
    }
}

/// Whether this process, and each that it starts, may have so many files open; says so where they may not.
pub fn may_open(files: usize) -> bool {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("it runs");
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let most = line.expect("a limit").split_whitespace().next();
    // Where there is no bound, it is no number.
    let most = most.and_then(|most| most.parse::<usize>().ok());
    match most.filter(|most| *most < files) {
        Some(most) => {
            println!("{most} open files are allowed: `ulimit -n {files}`");
            false
        }
        None => true,
    }
}

/// The path of a binary beside this one.
fn program(name: &str) -> String {
    let path = std::env::current_exe().expect("a path").with_file_name(name);
    path.to_str().expect("UTF-8").to_owned()
}
