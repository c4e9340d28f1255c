//! A deployment of one process, and what its callers and its daemon do.

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, header};
use functions::management::ManagementState;
use functions::service::{self, States};
use serde_json::{Value, json};
use shared::bucket::Bucket;
use shared::clock::Clock;
use shared::config::Functions;
use shared::domain::audit::Action;
use shared::domain::instance::{Instance, Status};
use shared::domain::job::Query;
use shared::domain::network::Network;
use shared::domain::news::News;
use shared::domain::payload;
use shared::domain::question::{Ask, Outcome};
use shared::ids::InstanceId;
use shared::queue::{Queue, QueueName, QueueNames, ReceiveOptions, Received};
use shared::seal::{Purpose, Sealer};
use shared::storage::Table;
use testbed::asked::{Asked, Doing};
pub use testbed::caller::{Answer, Caller, PASSWORD, User};
use testbed::played::PlayedDaemon;
use testbed::queues::{Through, queues};
use tower::ServiceExt;

use crate::documented;
use crate::faulty_table::FaultyTable;
use crate::flaky_queue::FlakyQueue;
use crate::mailbox::Mailbox;

/// A deployment with one shard on the sandbox network. Its table's server ends with it.
pub struct World {
    base: testbed::world::World,
    /// What the functions work with.
    pub states: States,
    /// That of `management`, through which tests look into the stores.
    pub state: ManagementState,
    /// The daemon that holds the one shard, as the test plays it.
    pub daemon: PlayedDaemon,
    pub router: Router,
    /// Whoever has no token.
    pub nobody: Caller,
    pub queue: Arc<Through<FlakyQueue>>,
    pub mail: Arc<Mailbox>,
    /// What fails between this deployment and its table.
    pub faults: Option<FaultyTable>,
}

impl Deref for World {
    type Target = testbed::world::World;

    fn deref(&self) -> &Self::Target {
        &self.base
    }
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
        let base = testbed::world::World::new().await;
        let mut table = base.table.clone();
        let mut faults = None;
        if let Some(seed) = seed {
            let before = FaultyTable::before(&base.database.endpoint, seed).await;
            table = Table::new(&before.sdk_config(), table.name());
            faults = Some(before);
        }
        let clock: Arc<dyn Clock> = Arc::new(base.clock.clone());
        let (queue, _) = queues(clock.clone(), Network::Sandbox, 1).await;
        let queue = Arc::new(Through(FlakyQueue::over(queue)));
        let sealer = base.keys.sealer(&table).restricted_to(&[Purpose::Content]);
        let sealer = Arc::new(sealer);
        let mail = Arc::new(Mailbox::default());
        let bucket = bucket(&base, sealer.clone(), clock.clone());
        let states = States::new(
            &change(config()),
            table,
            queue.clone(),
            sealer,
            bucket,
            mail.clone(),
            clock,
        )
        .expect("a queue prefix");
        let router = documented::held_to_it(service::all(states.clone()));
        let state = states.management.clone();
        Self {
            nobody: Caller::in_memory(router.clone()),
            router,
            daemon: PlayedDaemon::on(&state.table, state.sealer.clone(), state.clock.clone()),
            state,
            states,
            queue,
            mail,
            faults,
            base,
        }
    }

    /// Whoever calls another process of the same deployment, without a token.
    pub fn another(&self, change: impl FnOnce(Functions) -> Functions) -> Caller {
        self.process(change, self.states.messaging.bucket.clone())
    }

    /// The same of one whose files go into this bucket.
    pub fn over_bucket(&self, bucket: Bucket, change: impl FnOnce(Functions) -> Functions) -> Caller {
        self.process(change, bucket)
    }

    /// A bucket of S3 at this address.
    pub fn bucket_at(&self, endpoint: &str) -> Bucket {
        let place = shared::config::Bucket::S3("files".to_owned());
        let aws = shared::aws::stand_in(endpoint);
        let clock = Arc::new(self.clock.clone());
        Bucket::open(&aws, &place, self.state.sealer.clone(), clock).expect("a client")
    }

    fn process(&self, change: impl FnOnce(Functions) -> Functions, bucket: Bucket) -> Caller {
        let states = States::new(
            &change(config()),
            self.state.table.clone(),
            self.queue.clone(),
            self.state.sealer.clone(),
            bucket,
            self.mail.clone(),
            Arc::new(self.clock.clone()),
        );
        Caller::in_memory(documented::held_to_it(service::all(
            states.expect("a queue prefix"),
        )))
    }

    /// Lets this router answer from here on whoever has no token, and [`World::send`].
    pub fn serve(&mut self, router: Router) {
        self.nobody = Caller::in_memory(router.clone());
        self.router = router;
    }

    /// A request that no [`Caller`] would make, such as one whose body comes in pieces; see [`request`].
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        Answer::of(response).await
    }

    /// Whoever has this token.
    pub fn caller(&self, token: &str) -> Caller {
        self.nobody.with_token(token)
    }

    /// As if the user had shown that its address is its own.
    pub async fn verify(&self, user: &User) {
        let me = user.get("/api/auth/me").await.data(200)["user"].clone();
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
        self.nobody.register(email).await
    }

    pub async fn instance(&self, user: &Caller, name: &str) -> InstanceId {
        user.instance(name).await.parse().expect("an id")
    }

    /// An API key; `more` are members of the request besides its name.
    pub async fn key(&self, user: &Caller, instance: InstanceId, more: Value) -> Caller {
        user.key_with(&instance.to_string(), more).await
    }

    /// A user with a paired, connected instance and a key for it.
    pub async fn ready(&self) -> (User, InstanceId, Caller) {
        let user = self.register("ada@example.com").await;
        let instance = self.instance(&user, "sales").await;
        self.state
            .instances
            .want(instance, shared::domain::instance::Wanted::Connected)
            .await
            .expect("stored")
            .expect("there");
        self.daemon.pair(instance).await;
        self.daemon.observe(instance, Status::Connected).await;
        self.daemon.lives().await;
        let key = self.key(&user, instance, json!({})).await;
        (user, instance, key)
    }

    /// A daemon that answers every question so, while what this answers is there.
    pub fn answering(&self, mut answer: impl FnMut(&Ask) -> Outcome + Send + 'static) -> Asked {
        self.asked(move |ask| Doing::Answer(Box::new(answer(ask))))
    }

    /// A daemon that does this with every question.
    pub fn asked(&self, act: impl FnMut(&Ask) -> Doing + Send + 'static) -> Asked {
        let queue = (
            self.queue.clone() as Arc<dyn Queue>,
            self.queue_names().queries(0),
        );
        Asked::by(queue, &self.state.table, self.state.sealer.clone(), act)
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

    /// The bodies that wait in a queue, up to ten, without what is told to the realtime feed.
    pub async fn waiting(&self, queue: &QueueName) -> Vec<Received> {
        loop {
            let received = self.receive(queue).await;
            let count = received.len();
            let others: Vec<_> = received
                .into_iter()
                .filter(|received| news_in(received).is_none())
                .collect();
            if !others.is_empty() || count == 0 {
                return others;
            }
        }
    }

    /// What the realtime feed is told, up to ten, by what waits in the first shard's queue.
    pub async fn news(&self) -> Vec<News> {
        let received = self.receive(&self.queue_names().queries(0)).await;
        received.iter().filter_map(news_in).collect()
    }

    async fn receive(&self, queue: &QueueName) -> Vec<Received> {
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

fn news_in(received: &Received) -> Option<News> {
    match payload::decode(&received.body) {
        Ok(Query::Tell { news }) => Some(news),
        _ => None,
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

/// The bucket beside the deployment's keys. Its links lead to `http://waxwing.example`.
fn bucket(base: &testbed::world::World, sealer: Arc<Sealer>, clock: Arc<dyn Clock>) -> Bucket {
    testbed::bucket::in_directory(base.keys.directory(), "http://waxwing.example", sealer, clock)
}

pub fn config() -> Functions {
    let mut config = testbed::config::functions(1, "unused".into());
    config.auth.forgot_password_answer = std::time::Duration::ZERO;
    config.messaging.queue_answer = std::time::Duration::from_secs(3);
    config
}
