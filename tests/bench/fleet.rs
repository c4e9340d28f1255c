//! A deployment whose daemons are processes of their own. The table, the queues and the API are in this process, and the sandbox
//! is where it was started.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use daemon::whatsapp::NETWORK;
use functions::service::{self, States};
use serde_json::json;
use shared::clock::{Clock, SystemClock};
use shared::config::Wrapping;
use shared::domain::instance::Status;
use shared::ids::InstanceId;
use shared::mail::NoMailer;
use shared::seal::Purpose;
use shared::storage::instances::Instances;
use shared::storage::leases::{Lease, Leases};
use testbed::bucket::in_directory;
use testbed::caller::{Bases, Caller};
use testbed::queues::queues;
use testbed::served::Served;
use testbed::sqs::SqsStandIn;
use testbed::table::Database;
use testbed::wait::in_time;
use testbed::world::Keys;
use tests::daemon_process::{DaemonProcess, Surroundings};
use tests::flow::unique;
use tests::phones::Phones;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

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
    /// A caller with a key of it.
    pub key: Caller,
}

/// The deployment without its daemons.
pub struct Fleet {
    /// The sandbox's phones.
    pub phones: Phones,
    /// The table's address.
    pub table: String,
    /// The instances past the API.
    pub instances: Instances,
    leases: Leases,
    api: Caller,
    surroundings: Surroundings,
    /// How many daemons were started.
    started: AtomicUsize,
    keys: Keys,
    _sqs: SqsStandIn,
    _database: Database,
    _api: Served,
}

impl Fleet {
    /// Starts one on the sandbox with this WebSocket and this admin API. Daemons get these variables.
    pub async fn start(
        clients: &str,
        admin: &str,
        shards: u32,
        variables: Vec<(&'static str, String)>,
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let database = Database::start().await;
        let (queues, _) = queues(Arc::clone(&clock), NETWORK, shards).await;
        let queues = Arc::new(queues);
        let sqs = SqsStandIn::over(queues.clone()).await;
        let keys = Keys::new();
        let sealer = keys.sealer(&database.table()).restricted_to(&[Purpose::Content]);
        let sealer = Arc::new(sealer.making_no_keys());
        let bucket = in_directory(
            keys.directory(),
            "http://waxwing.example",
            Arc::clone(&sealer),
            Arc::clone(&clock),
        );
        let mut config = testbed::config::functions(shards, keys.file());
        config.users.user_rate = UNLIMITED;
        config.auth.auth_rate = UNLIMITED;
        let states = States::new(
            &config,
            database.table(),
            queues,
            sealer,
            bucket,
            Arc::new(NoMailer),
            clock,
        );
        let served = Served::start(service::all(states.expect("a queue prefix"))).await;
        Self {
            phones: Phones::new(admin),
            table: database.endpoint.clone(),
            instances: Instances::new(database.table()),
            leases: Leases::new(database.table(), NETWORK),
            api: Caller::over_http(Bases::one(&served.url())),
            surroundings: Surroundings {
                table: database.endpoint.clone(),
                queue: sqs.endpoint().to_owned(),
                sandbox: clients.to_owned(),
                wrapping: Wrapping::File(keys.file()),
                directory: keys.directory().to_owned(),
                shards,
                variables,
            },
            started: AtomicUsize::new(0),
            keys,
            _sqs: sqs,
            _database: database,
            _api: served,
        }
    }

    /// Starts a daemon, which reaches the table at this address.
    pub async fn daemon(&self, table: &str) -> DaemonProcess {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let log = self.keys.directory().join(format!("daemon-{number}.log"));
        let surroundings = Surroundings {
            table: table.to_owned(),
            ..self.surroundings.clone()
        };
        DaemonProcess::start(&program(DAEMON), &log, &surroundings).await
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
        Line {
            id: id.parse().expect("an instance's"),
            key,
        }
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        usize::try_from(self.surroundings.shards).expect("small")
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

/// Looks again and again with this pause; `None` where nothing is found for as long as `patience`.
pub async fn look_for<T>(
    pause: Duration,
    patience: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        let found = look().await;
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        tokio::time::sleep(pause).await;
    }
}

/// The path of a binary beside this one.
fn program(name: &str) -> String {
    let path = std::env::current_exe().expect("a path").with_file_name(name);
    path.to_str().expect("UTF-8").to_owned()
}
