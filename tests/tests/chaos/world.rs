//! A network for a run: daemons as processes, with the API, the webhooks' function, the sandbox and the stores in the test's own
//! process, and a relay before the table, the queues and the key service.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use functions::webhook_delivery::{self, Settings, WebhooksState, slow, transport};
use futures::future::join_all;
use futures::{StreamExt as _, stream};
use serde_json::json;
use shared::config::{Functions, Wrapping};
use shared::ids::InstanceId;
use shared::reach::Reach;
use shared::seal::KmsKeyWrapper;
use testbed::caller::Bases;
use testbed::relay::Relay;
use testbed::wait::until;
use tests::daemon_process::{DaemonProcess, Surroundings};
use tests::deployment::{Api, Starter, Stores};
use tests::flow::{Paired, pair, save_contact};
use tests::inside;
use tests::kms::{self, KmsStandIn};
use tests::phones::Phones;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::bodies::Bodies;
use crate::clocks::Clocks;
use crate::plan::{Offset, PEOPLE, With};
use crate::receivers::Receivers;
use crate::restarting_sandbox::RestartingSandbox;
use crate::size::Size;

const DAEMON: &str = env!("CARGO_BIN_EXE_daemon-under-test");

/// How many instances are made ready at once.
const AT_ONCE: usize = 4;

/// More requests than a run makes.
const MANY: u32 = 1_000_000;

/// The beginning of the texts that are written until a webhook hears of one.
pub const CALL: &str = "are you there";

/// The pause between two texts to a webhook that has heard of none.
const UNHEARD: Duration = Duration::from_millis(500);

/// An instance, and whom it writes with.
pub struct Line {
    pub paired: Paired,
    pub id: InstanceId,
    /// The numbers of the people. The account's owner has saved the first.
    pub people: Vec<String>,
}

pub struct World {
    pub stores: Stores,
    /// Between everybody and the key service.
    pub keys: Relay,
    pub sandbox: Arc<RestartingSandbox>,
    pub receivers: Receivers,
    pub bodies: Arc<Bodies>,
    pub lines: Vec<Line>,
    /// By their places; `None` where one is in trouble.
    pub daemons: Vec<Option<DaemonProcess>>,
    pub starter: Starter,
    pub clocks: Clocks,
    pub directory: PathBuf,
    _kms: KmsStandIn,
    _api: Api,
    _webhooks: DropGuard,
}

impl World {
    /// Starts all of it, pairs the instances, and waits until each is told of by its webhook. Then the daemons have these clocks. Logs
    /// are in a directory of this name.
    pub async fn start(name: &str, size: &Size, clocks: &[Vec<Offset>]) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join("chaos")
            .join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).expect("a directory");
        let sandbox = Arc::new(RestartingSandbox::start(&directory.join("sandbox")).await);
        let stores = Stores::start(size.shards).await;
        let kms = KmsStandIn::start().await;
        let keys = Relay::before(&kms.endpoint()).await;
        let wrapper = KmsKeyWrapper::new(&shared::aws::stand_in(keys.endpoint()), kms::KEY);
        let api = Api::start(&stores, &config(size), Arc::new(wrapper), &directory).await;
        let key = Wrapping::Kms(kms::KEY.to_owned());
        let surroundings = Surroundings {
            variables: vec![
                ("AWS_ENDPOINT_URL_KMS", keys.endpoint().to_owned()),
                ("WAXWING_SANDBOX_CA", authority(&sandbox, &directory).await),
                ("WAXWING_PRIVATE_ADDRESSES", "loopback".to_owned()),
                ("WAXWING_LEASE_MS", size.lease.as_millis().to_string()),
            ],
            ..stores.over_relays(sandbox.ws_url(), key, directory.clone())
        };
        let starter = Starter::of(DAEMON, surroundings);
        let mut daemons = Vec::new();
        for _ in 0..size.daemons {
            daemons.push(Some(starter.start().await));
        }
        stores.until_shared_out(size.daemons).await;
        let webhooks = deliver(&api, &stores);
        let receivers = Receivers::start(size.instances).await;
        let (bases, phones) = (Bases::one(&api.url()), sandbox.phones().await.clone());
        let lines: Vec<Line> = stream::iter(0..size.instances)
            .map(|n| line(n, &bases, &phones, &receivers))
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut world = Self {
            bodies: Arc::new(Bodies::start(api.bucket.clone(), size.patience).await),
            stores,
            keys,
            sandbox,
            receivers,
            lines,
            daemons,
            starter,
            clocks: Clocks::of(clocks),
            directory,
            _kms: kms,
            _api: api,
            _webhooks: webhooks,
        };
        world.set_clocks_wrong().await;
        world
    }

    /// The number of whom a chat of an instance is with, or of the first who sees its statuses.
    pub fn person_of(&self, line: usize, with: With) -> &str {
        let person = match with {
            With::Person(person) => person,
            With::Contacts => 0,
        };
        &self.lines[line].people[person]
    }

    /// The instances' own numbers that have no connection now.
    pub async fn without_connection(&self) -> Vec<String> {
        let phones = self.sandbox.phones().await.list("/admin/phones").await;
        let is_connected = |own: &str| {
            let phone = phones.iter().find(|phone| phone["phone"] == own);
            let companions = phone.and_then(|phone| phone["companions"].as_array());
            companions.is_some_and(|companions| companions.iter().any(|one| one["connected"] == true))
        };
        let numbers = self.lines.iter().map(|line| &line.paired.own);
        numbers.filter(|own| !is_connected(own)).cloned().collect()
    }
}

/// The configuration of the API. Its callers come often, and for long.
fn config(size: &Size) -> Functions {
    let mut config = testbed::config::functions(size.shards, PathBuf::new());
    config.base.reach = Reach::LOOPBACK;
    config.users.user_rate = MANY;
    config.auth.auth_rate = MANY;
    config.auth.jwt_lifetime = TimeDelta::hours(24);
    config
}

/// A file with the root certificate of the sandbox's media host.
async fn authority(sandbox: &RestartingSandbox, directory: &Path) -> String {
    let file = directory.join("sandbox.pem");
    std::fs::write(&file, sandbox.ca_pem().await).expect("written");
    file.display().to_string()
}

/// Delivers events until the guard is dropped. On a busy machine an attempt may take long.
fn deliver(api: &Api, stores: &Stores) -> DropGuard {
    let usual = Settings::usual(&api.states.base);
    let settings = Settings {
        transport: transport::Settings {
            deadline: Duration::from_mins(1),
            ..usual.transport
        },
        slow: slow::Limits {
            after: Duration::from_mins(1),
            ..usual.slow
        },
        ..usual
    };
    let (base, sealer, bucket) = (
        api.states.base.clone(),
        Arc::clone(&api.sealer),
        api.bucket.clone(),
    );
    let state = WebhooksState::new(base, sealer, bucket, settings).expect("a client");
    let stop = CancellationToken::new();
    let delivering = webhook_delivery::local::run(state, stores.names.clone(), stop.clone());
    tokio::spawn(delivering);
    stop.drop_guard()
}

/// An instance that is paired, whose webhook is told of what comes in and of the states of what goes out.
async fn line(n: usize, bases: &Bases, phones: &Phones, receivers: &Receivers) -> Line {
    let mut paired = pair(bases, phones).await;
    let often = json!({"rateLimit": MANY});
    paired.key = paired.user.key_with(&paired.instance, often).await;
    let path = format!("/api/instances/{}/webhook", paired.instance);
    let webhook = json!({"url": receivers.url(n), "events": ["message.received", "message.status"]});
    let set = paired.user.put(&path, webhook).await.data(200);
    receivers.know(n, set["secret"].as_str().expect("a secret"));
    let mut tries = 0;
    until("the first event", async || {
        tries += 1;
        let text = format!("{CALL} {tries}");
        phones.send(&paired.other, &paired.own, &text).await;
        tokio::time::sleep(UNHEARD).await;
        (!receivers.told(n).texts.is_empty()).then_some(())
    })
    .await;
    save_contact(&paired, phones, &paired.other).await;
    let others = join_all((1..PEOPLE).map(|_| phones.create("Person"))).await;
    let first = std::iter::once(paired.other.clone());
    Line {
        id: inside::instance(&paired).await,
        people: first.chain(others).collect(),
        paired,
    }
}
