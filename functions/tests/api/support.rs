//! A deployment of one process, and what its callers and its daemon do.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, header};
use chrono::{DateTime, TimeDelta};
use functions::management::ManagementState;
use functions::service::{self, States};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use shared::clock::{Clock, SteppedClock};
use shared::config::{Common, Functions, JwtSecret, Secret, Wrapping};
use shared::domain::audit::Action;
use shared::domain::event::Untold;
use shared::domain::instance::{Account, Instance, Observed, PairingCode, QrCode, Status};
use shared::domain::network::Network;
use shared::domain::person::Person;
use shared::ids::InstanceId;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{QueueName, QueueNames, ReceiveOptions, deployment};
use shared::seal::{FileKeyWrapper, Purpose, Sealer};
use shared::storage::Table;
use shared::storage::instances::Observation;
use shared::storage::item::Item;
use shared::storage::leases::{Beat, Leases};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;

pub use crate::answer::Answer;
use crate::faulty_table::FaultyTable;
use crate::flaky_queue::FlakyQueue;
use crate::mailbox::Mailbox;

pub const PASSWORD: &str = "correct horse battery staple";

/// What the paths of routes end with that take no body.
const BODILESS: [&str; 5] = [
    "/connect",
    "/disconnect",
    "/logout",
    "/resend-verification",
    "/restart",
];

/// A deployment with one shard on the sandbox network. Its table's server ends with it.
pub struct World {
    /// What the functions work with.
    pub states: States,
    /// That of `management`, through which tests look into the stores.
    pub state: ManagementState,
    pub clock: SteppedClock,
    /// The table's engine.
    pub endpoint: String,
    pub router: Router,
    pub queue: Arc<FlakyQueue>,
    pub mail: Arc<Mailbox>,
    /// What fails between this deployment and its table.
    pub faults: Option<FaultyTable>,
    _directory: TempDir,
    _server: DropGuard,
}

/// A user who is logged in.
pub struct User {
    pub token: String,
    pub refresh_token: String,
    pub subscription: String,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|config| config).await
    }

    /// A deployment with another configuration than usual.
    pub async fn with(change: impl FnOnce(Functions) -> Functions) -> Self {
        Self::over(None, change).await
    }

    /// A deployment whose table fails, by this seed, while its faults rage.
    pub async fn faulty(seed: u64) -> Self {
        Self::over(Some(seed), |config| config).await
    }

    async fn over(seed: Option<u64>, change: impl FnOnce(Functions) -> Functions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let database = dynoxide::Database::memory().expect("opened");
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move { dynoxide::server::serve_with_shutdown(listener, database, stopped).await });
        let endpoint = format!("http://{address}");
        let mut table = Table::new(&shared::aws::stand_in(&endpoint), "waxwing");
        table.create_if_absent().await.expect("created");
        let mut faults = None;
        if let Some(seed) = seed {
            let before = FaultyTable::before(&endpoint, seed).await;
            table = Table::new(&before.sdk_config(), "waxwing");
            faults = Some(before);
        }

        let clock = SteppedClock::at(DateTime::from_timestamp(1_767_225_600, 0).expect("in range"));
        let queue = EmbeddedQueue::open(None, Arc::new(clock.clone())).expect("opened");
        let names = QueueNames::new("test", "sandbox").expect("names");
        deployment::ensure_all(&queue, &names, 1).await.expect("created");

        let queue = Arc::new(FlakyQueue::over(queue));

        let directory = tempfile::tempdir().expect("a directory");
        let wrapper = FileKeyWrapper::open(&directory.path().join("master.key")).expect("a key file");
        let sealer = Sealer::new(table.clone(), Arc::new(wrapper)).restricted_to(&[Purpose::Content]);
        let mail = Arc::new(Mailbox::default());
        let states = States::new(
            &change(config()),
            table,
            queue.clone(),
            Arc::new(sealer),
            mail.clone(),
            Arc::new(clock.clone()),
        )
        .expect("a queue prefix");
        Self {
            router: service::all(states.clone()),
            state: states.management.clone(),
            states,
            clock,
            endpoint,
            queue,
            mail,
            faults,
            _directory: directory,
            _server: stop.drop_guard(),
        }
    }

    /// Another process of the same deployment.
    pub fn another(&self, change: impl FnOnce(Functions) -> Functions) -> Router {
        let states = States::new(
            &change(config()),
            self.state.table.clone(),
            self.queue.clone(),
            self.state.sealer.clone(),
            self.mail.clone(),
            Arc::new(self.clock.clone()),
        );
        service::all(states.expect("a queue prefix"))
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            bytes: body.collect().await.expect("a whole body").to_bytes().to_vec(),
        }
    }

    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.send(request("GET", token, path, Body::empty())).await
    }

    /// A POST. To a route that takes no body an empty object goes as none.
    pub async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        let takes_none = BODILESS.iter().any(|end| path.ends_with(end));
        let body = if takes_none && body == json!({}) {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        self.send(request("POST", token, path, body)).await
    }

    /// The same from another source address.
    pub async fn post_from(&self, source: &str, token: &str, path: &str, body: Value) -> Answer {
        let mut request = request("POST", token, path, Body::from(body.to_string()));
        let peer = std::net::SocketAddr::new(source.parse().expect("an address"), 50_000);
        request.extensions_mut().insert(ConnectInfo(peer));
        self.send(request).await
    }

    /// As if the user had shown that its address is its own.
    pub async fn verify(&self, user: &User) {
        let me = self.get(&user.token, "/api/auth/me").await.data(200)["user"].clone();
        let id = |member: &str| me[member].as_str().expect("an id").to_owned();
        let (subscription, user) = (id("subscriptionId"), id("id"));
        let verified = self.state.accounts.set_email_verified(
            subscription.parse().expect("an id"),
            user.parse().expect("an id"),
            self.clock.now(),
        );
        verified.await.expect("stored");
    }

    pub async fn register(&self, email: &str) -> User {
        let body = json!({"email": email, "password": PASSWORD, "name": "Ada"});
        let data = self.post("", "/api/auth/register", body).await.data(201);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        User {
            token: text(&data["tokens"]["accessToken"]),
            refresh_token: text(&data["tokens"]["refreshToken"]),
            subscription: text(&data["subscription"]["id"]),
        }
    }

    /// A new access token of a user: an older one has run out.
    pub async fn log_in(&self, _: &User) -> String {
        let body = json!({"email": "ada@example.com", "password": PASSWORD});
        let data = self.post("", "/api/auth/login", body).await.data(200);
        data["tokens"]["accessToken"].as_str().expect("a text").to_owned()
    }

    pub async fn instance(&self, user: &User, name: &str) -> InstanceId {
        let answer = self
            .post(&user.token, "/api/instances", json!({"name": name}))
            .await;
        let data = answer.data(201);
        data["id"].as_str().expect("an id").parse().expect("an id")
    }

    /// An API key; `more` are members of the request besides its name.
    pub async fn key(&self, user: &User, instance: InstanceId, more: Value) -> String {
        let mut body = json!({"name": "a key"});
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let path = format!("/api/instances/{instance}/keys");
        let data = self.post(&user.token, &path, body).await.data(201);
        data["key"].as_str().expect("a secret").to_owned()
    }

    /// A user with a paired, connected instance and a key for it.
    pub async fn ready(&self) -> (User, InstanceId, String) {
        let user = self.register("ada@example.com").await;
        let instance = self.instance(&user, "sales").await;
        self.state
            .instances
            .want(instance, shared::domain::instance::Wanted::Connected)
            .await
            .expect("stored")
            .expect("there");
        self.pair(instance).await;
        self.observe(instance, Status::Connected, None).await;
        self.daemon_lives().await;
        let key = self.key(&user, instance, json!({})).await;
        (user, instance, key)
    }

    /// As the daemon does when a phone has scanned the code.
    pub async fn pair(&self, instance: InstanceId) {
        let account = Account {
            person: Person {
                phone: Some("15550100001".into()),
                lid: Some("100000012345678".into()),
            },
            display_name: Some("Sales".into()),
        };
        let stored = self
            .state
            .instances
            .set_account(instance, 1, Some(&account))
            .await
            .expect("stored");
        assert_eq!(stored, Observation::Stored);
    }

    /// As the daemon does when a connection changes.
    pub async fn observe(&self, instance: InstanceId, status: Status, qr: Option<(&str, u8)>) {
        let qr = match qr {
            Some((code, attempt)) => Some(QrCode {
                sealed: self.sealed(instance, &QrCode::aad(instance), code).await,
                attempt,
                expires_at: self.clock.now() + TimeDelta::seconds(20),
            }),
            None => None,
        };
        let observed = Observed {
            qr,
            ..self.observed(instance, status).await
        };
        self.store(instance, &observed).await;
    }

    /// As the daemon does when it has a pairing code.
    pub async fn show_pairing_code(&self, instance: InstanceId, code: &str) {
        self.daemon_lives().await;
        let aad = PairingCode::aad(instance);
        let observed = Observed {
            pairing_code: Some(PairingCode {
                sealed: self.sealed(instance, &aad, code).await,
                expires_at: self.clock.now() + TimeDelta::seconds(180),
            }),
            ..self.observed(instance, Status::AwaitingPairingCode).await
        };
        self.store(instance, &observed).await;
        self.daemon_lives().await;
    }

    /// As the daemon does when an attempt is over.
    pub async fn end(&self, instance: InstanceId, status: Status, reason: &str) {
        let observed = Observed {
            reason: Some(reason.to_owned()),
            ..self.observed(instance, status).await
        };
        self.store(instance, &observed).await;
    }

    async fn sealed(&self, instance: InstanceId, aad: &[u8], code: &str) -> Vec<u8> {
        let state = &self.state;
        let sealed = state
            .sealer
            .seal(instance, Purpose::Content, aad, code.as_bytes());
        sealed.await.expect("sealed")
    }

    async fn observed(&self, instance: InstanceId, status: Status) -> Observed {
        Observed {
            status,
            since: self.clock.now(),
            reason: None,
            last_error: None,
            last_round_trip_at: None,
            qr: None,
            pairing_code: None,
            generation: self.stored(instance).await.desired.generation,
            pause: None,
            untold: Untold::default(),
        }
    }

    async fn store(&self, instance: InstanceId, observed: &Observed) {
        let stored = self
            .state
            .instances
            .observe(instance, 1, observed)
            .await
            .expect("stored");
        assert_eq!(stored, Observation::Stored);
    }

    /// What today's audit entries of `action` in the user's subscription are on.
    pub async fn audited(&self, user: &User, action: Action) -> Vec<String> {
        let subscription = user.subscription.parse().expect("an id");
        let day = self.clock.now().date_naive();
        let entries = self.state.audit.list_day_of(subscription, day, None, 100).await;
        let entries = entries.expect("read").into_iter();
        entries
            .filter(|entry| entry.action == action.as_str())
            .filter_map(|entry| entry.target)
            .collect()
    }

    pub async fn stored(&self, instance: InstanceId) -> Instance {
        self.state
            .instances
            .get_of_any(instance)
            .await
            .expect("read")
            .expect("there")
    }

    /// A daemon holds the one shard and beats now.
    pub async fn daemon_lives(&self) {
        let leases = Leases::new(self.state.table.clone(), Network::Sandbox);
        let shard = shared::domain::shard::Shard(0);
        if leases.get(shard).await.expect("read").is_none() {
            leases
                .take(shard, "daemon-1", None)
                .await
                .expect("taken")
                .expect("free");
        }
        let beat = Beat {
            daemon: "daemon-1".into(),
            counter: 1,
            duration_ms: 4_000,
            at: self.clock.now(),
            round_trips_since: Some(self.clock.now()),
            draining: false,
            vitals: None,
        };
        leases.beat(&beat).await.expect("stored");
    }

    /// As a daemon does that takes the first shard over from the one that had it.
    pub async fn another_daemon_takes_over(&self) {
        let leases = Leases::new(self.state.table.clone(), Network::Sandbox);
        let shard = shared::domain::shard::Shard(0);
        let token = leases.get(shard).await.expect("read").map(|lease| lease.token);
        leases
            .take(shard, "daemon-1", token)
            .await
            .expect("taken")
            .expect("free");
        self.daemon_lives().await;
    }

    /// Every item of the table, by its key.
    pub async fn items(&self) -> BTreeMap<(String, String), Item> {
        let table = &self.state.table;
        let scanning = table.client().scan().table_name(table.name());
        let items = scanning.into_paginator().items().send();
        let items = items.collect::<Result<Vec<_>, _>>().await.expect("read");
        let text = |item: &Item, name: &str| item[name].as_s().expect("a text").clone();
        let keyed = items
            .into_iter()
            .map(|item| ((text(&item, "pk"), text(&item, "sk")), item));
        keyed.collect()
    }

    /// The bodies that wait in a queue, up to ten.
    pub async fn waiting(&self, queue: &QueueName) -> Vec<shared::queue::Received> {
        let options = ReceiveOptions {
            max: 10,
            wait: std::time::Duration::ZERO,
            visibility: std::time::Duration::from_secs(30),
        };
        self.state.queue.receive(queue, options).await.expect("received")
    }

    pub fn queue_names(&self) -> QueueNames {
        self.state.queue_names(Network::Sandbox).expect("served").clone()
    }
}

/// A request from 192.0.2.1 with a JSON body and, where `token` is not empty, with it.
pub fn request(method: &str, token: &str, path: &str, body: Body) -> Request<Body> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "waxwing.example")
        .header(header::CONTENT_TYPE, "application/json");
    if !token.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 50_000));
    request
        .extension(ConnectInfo(peer))
        .body(body)
        .expect("well-formed")
}

pub fn config() -> Functions {
    let common = Common {
        table: "waxwing".into(),
        shards: 1,
        queue_prefix: "test".into(),
    };
    let wrapping = Wrapping::File("unused".into());
    let mut config = Functions::new(common, vec![Network::Sandbox], vec![jwt_secret()], wrapping);
    config.users.bcrypt_cost = 4;
    config.auth.forgot_password_answer = std::time::Duration::ZERO;
    config.messaging.queue_answer = std::time::Duration::from_millis(200);
    config
}

pub fn jwt_secret() -> JwtSecret {
    JwtSecret {
        kid: "test".into(),
        secret: Secret::new("a secret for tests alone, of 32 bytes or more"),
    }
}
