//! An API over a metered table, with a clock that stands and nobody else at work: so that
//! what a request costs does not depend on the time of day or on a daemon.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use functions::management::ManagementState;
use functions::service::States;
use relay::Relay;
use serde_json::{Value, json};
use shared::clock::{Clock, SteppedClock};
use shared::domain::account::Role;
use shared::domain::event::Untold;
use shared::domain::instance::{Account, Observed, PairingCode, PairingRequest, QrCode, Status, Wanted};
use shared::domain::network::Network;
use shared::domain::person::Person;
use shared::domain::shard::Shard;
use shared::ids::InstanceId;
use shared::mail::FolderMailer;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{QueueNames, deployment};
use shared::seal::{self, Purpose, Sealer};
use shared::storage::instances::{Observation, PairingWanted};
use shared::storage::leases::{Beat, Leases};
use tempfile::TempDir;
use tests::api::Api;
use tests::database::{Database, table};
use tokio_util::sync::DropGuard;

use crate::world;

/// A text like any other.
pub fn text() -> Value {
    json!({"to": "15550100002", "text": "Hello"})
}

pub struct Office {
    /// That of `management`, through which tests look into the stores.
    pub state: ManagementState,
    pub meter: Relay,
    /// A client without a token.
    pub api: Api,
    pub mails: Arc<FolderMailer>,
    clock: SteppedClock,
    _directory: TempDir,
    _database: Database,
    _server: DropGuard,
}

impl Office {
    /// Opens one in which so many messages of an instance may wait.
    pub async fn open(queue_limit: u32) -> Self {
        let clock = SteppedClock::at(DateTime::from_timestamp(1_767_225_600, 0).expect("in range"));
        let directory = tempfile::tempdir().expect("a directory");
        let database = Database::start().await;
        let meter = Relay::metering(&database.endpoint).await;
        let metered = table(meter.endpoint());
        let mut config = world::config(directory.path());
        config.auth.forgot_password_answer = Duration::ZERO;
        config.messaging.queue_limit = queue_limit;
        let queue = EmbeddedQueue::open(None, Arc::new(clock.clone())).expect("opened");
        let queue_names = QueueNames::new("waxwing", Network::Sandbox.as_str()).expect("names");
        let shards = config.base.common.shards;
        deployment::ensure_all(&queue, &queue_names, shards)
            .await
            .expect("created");
        let aws = shared::aws::stand_in(meter.endpoint());
        let wrapper = seal::wrapper(&aws, &config.wrapping).expect("a key file");
        let sealer = Sealer::new(metered.clone(), wrapper).restricted_to(&[Purpose::Content]);
        let mails = Arc::new(FolderMailer::new(
            directory.path().join("mails"),
            Arc::new(clock.clone()),
        ));
        let states = States::new(
            &config,
            metered,
            Arc::new(queue),
            Arc::new(sealer),
            mails.clone(),
            Arc::new(clock.clone()),
        );
        let states = states.expect("a queue prefix");
        let state = states.management.clone();
        let (bases, server) = world::serve(states).await;
        Self {
            state,
            meter,
            api: Api::new(bases),
            mails,
            clock,
            _directory: directory,
            _database: database,
            _server: server,
        }
    }

    /// A second goes by: the newest of two mails is then the later one.
    pub fn wait(&self) {
        self.clock.advance(TimeDelta::seconds(1));
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// The code in the newest mail to an address.
    pub async fn code(&self, email: &str) -> String {
        let mails = self.mails.newest(Some(email), 1).await.expect("read");
        let code = mails[0].text.split(r#""token": ""#).nth(1).expect("a code");
        code.split('"').next().expect("a code").to_owned()
    }

    pub async fn administrator(&self) -> Api {
        let email = "root@example.com";
        let api = self.api.register(email).await;
        let user = api.get("/api/auth/me").await.data(200)["user"].clone();
        let (subscription, id) = (parsed(&user["subscriptionId"]), parsed(&user["id"]));
        let accounts = &self.state.accounts;
        accounts
            .set_role(subscription, id, Role::Administrator)
            .await
            .expect("stored");
        api
    }

    /// A connected instance and a client with its key, as a phone and a daemon leave it.
    pub async fn paired(&self, user: &Api) -> (InstanceId, Api) {
        let created = user
            .post("/api/instances", &json!({"name": "sales"}))
            .await
            .data(201);
        let instance: InstanceId = parsed(&created["id"]);
        let key = user.key("sales").await;
        let instances = &self.state.instances;
        let wanted = instances.want(instance, Wanted::Connected).await;
        wanted.expect("stored").expect("there");
        let account = Account {
            person: Person {
                phone: Some("15550100001".to_owned()),
                lid: Some("100000012345678".to_owned()),
            },
            display_name: Some("Sales".to_owned()),
        };
        let stored = instances.set_account(instance, 1, Some(&account)).await;
        assert_eq!(stored.expect("stored"), Observation::Stored);

        let leases = Leases::new(self.state.table.clone(), Network::Sandbox);
        let lease = leases.take(Shard(0), "daemon-1", None).await.expect("taken");
        lease.expect("free");
        self.observe(instance, Status::Connected, None, None).await;
        (instance, key)
    }

    /// Lets an instance show a QR code.
    pub async fn shows_qr(&self, instance: InstanceId) {
        let (purpose, aad) = (Purpose::Content, QrCode::aad(instance));
        let sealed = self
            .state
            .sealer
            .seal(instance, purpose, &aad, b"2@a,b,c,d,e")
            .await;
        let qr = QrCode {
            sealed: sealed.expect("sealed"),
            attempt: 1,
            expires_at: self.now() + TimeDelta::seconds(20),
        };
        self.observe(instance, Status::AwaitingQr, Some(qr), None).await;
    }

    /// Lets an instance show a code for a number, as one shows it for which somebody has asked.
    pub async fn shows_pairing_code(&self, instance: InstanceId, phone: &str) {
        let request = PairingRequest {
            phone: phone.parse().expect("a number"),
            asked_at: self.now(),
        };
        let asked = self.state.instances.want_pairing(instance, &request).await;
        assert!(matches!(asked.expect("stored"), PairingWanted::Asked(_)));
        let aad = PairingCode::aad(instance);
        let sealed = self
            .state
            .sealer
            .seal(instance, Purpose::Content, &aad, b"ABCD1234")
            .await;
        let code = PairingCode {
            sealed: sealed.expect("sealed"),
            expires_at: self.now() + TimeDelta::seconds(180),
        };
        self.observe(instance, Status::AwaitingPairingCode, None, Some(code))
            .await;
    }

    /// As a daemon writes it that lives.
    async fn observe(
        &self,
        instance: InstanceId,
        status: Status,
        qr: Option<QrCode>,
        pairing_code: Option<PairingCode>,
    ) {
        let beat = Beat {
            daemon: "daemon-1".to_owned(),
            counter: 1,
            duration_ms: 4_000,
            at: self.now(),
            round_trips_since: Some(self.now()),
            draining: false,
            vitals: None,
        };
        let leases = Leases::new(self.state.table.clone(), Network::Sandbox);
        leases.beat(&beat).await.expect("stored");
        let instances = &self.state.instances;
        let stored = instances
            .get_of_any(instance)
            .await
            .expect("read")
            .expect("there");
        let observed = Observed {
            status,
            since: self.now(),
            reason: None,
            last_error: None,
            last_round_trip_at: None,
            qr,
            pairing_code,
            generation: stored.desired.generation,
            pause: None,
            untold: Untold::default(),
        };
        let stored = instances.observe(instance, 1, &observed).await;
        assert_eq!(stored.expect("stored"), Observation::Stored);
    }
}

/// An id in an answer.
fn parsed<T: std::str::FromStr>(value: &Value) -> T {
    let parsed = value.as_str().expect("a text").parse().ok();
    parsed.expect("an id")
}
