//! An API over a metered table, with a clock that stands and nobody else at work: so that
//! what a request costs does not depend on the time of day or on a daemon.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use functions::management::ManagementState;
use functions::service::{self, States};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::account::Role;
use shared::domain::content::Said;
use shared::domain::instance::{PairingRequest, Status, Wanted};
use shared::domain::network::Network;
use shared::domain::passkey::PasskeyStage;
use shared::ids::{DeliveryId, InstanceId, MediaId};
use shared::mail::FolderMailer;
use shared::seal::Purpose;
use shared::storage::instances::PairingWanted;
use testbed::asked::{Asked, Doing, willing};
use testbed::caller::{Bases, Caller};
use testbed::played::PlayedDaemon;
use testbed::queues::queues;
use testbed::relay::Relay;
use testbed::served::Served;
use testbed::table::patient;
use testbed::world::World;

/// A text like any other.
pub fn text() -> Value {
    json!({"to": "15550100002", "text": "Hello"})
}

pub struct Office {
    base: World,
    /// That of `management`, through which tests look into the stores.
    pub state: ManagementState,
    pub meter: Relay,
    /// A client without a token.
    pub api: Caller,
    pub mails: Arc<FolderMailer>,
    daemon: PlayedDaemon,
    _server: Served,
    _asked: Asked,
}

impl Office {
    /// Opens one in which so many messages of an instance may wait.
    pub async fn open(queue_limit: u32) -> Self {
        let base = World::new().await;
        let meter = Relay::metering(&base.database.endpoint).await;
        meter.record();
        let metered = patient(meter.endpoint());
        let mut config = testbed::config::functions(1, base.keys.file());
        config.auth.forgot_password_answer = Duration::ZERO;
        config.messaging.queue_limit = queue_limit;
        let clock: Arc<dyn Clock> = Arc::new(base.clock.clone());
        let (queue, _) = queues(clock.clone(), Network::Sandbox, config.base.common.shards).await;
        let sealer = base.keys.sealer(&metered).restricted_to(&[Purpose::Content]);
        let mails = Arc::new(FolderMailer::new(
            base.keys.directory().join("mails"),
            clock.clone(),
        ));
        let sealer = Arc::new(sealer);
        let bucket = testbed::bucket::in_directory(
            base.keys.directory(),
            "http://waxwing.example",
            sealer.clone(),
            clock.clone(),
        );
        let states = States::new(
            &config,
            metered,
            Arc::new(queue),
            sealer,
            bucket,
            mails.clone(),
            clock,
        );
        let states = states.expect("a queue prefix");
        let state = states.management.clone();
        let asked = Asked::by(
            (
                state.queue.clone(),
                state.queue_names(Network::Sandbox).expect("served").queries(0),
            ),
            &state.table,
            state.sealer.clone(),
            |ask| Doing::Answer(Box::new(willing(ask))),
        );
        let server = Served::start(service::all(states)).await;
        Self {
            daemon: PlayedDaemon::on(&state.table, state.sealer.clone(), state.clock.clone()),
            state,
            meter,
            api: Caller::over_http(Bases::one(&server.url())),
            mails,
            base,
            _server: server,
            _asked: asked,
        }
    }

    /// A second goes by: the newest of two mails is then the later one.
    pub fn wait(&self) {
        self.base.clock.advance(TimeDelta::seconds(1));
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.base.now()
    }

    /// The code in the newest mail to an address.
    pub async fn code(&self, email: &str) -> String {
        let mails = self.mails.newest(Some(email), 1).await.expect("read");
        testbed::mail::code(&mails[0].text)
    }

    pub async fn administrator(&self) -> Caller {
        let email = "root@example.com";
        let api = self.api.register(email).await;
        let user = api.get("/api/auth/me").await.data(200)["user"].clone();
        let (subscription, id) = (parsed(&user["subscriptionId"]), parsed(&user["id"]));
        let accounts = &self.state.accounts;
        accounts
            .set_role(subscription, id, Role::Administrator)
            .await
            .expect("stored");
        api.into()
    }

    /// A connected instance and a client with its key, as a phone and a daemon leave it.
    pub async fn paired(&self, user: &Caller) -> (InstanceId, Caller) {
        let created = user
            .post("/api/instances", json!({"name": "sales"}))
            .await
            .data(201);
        let instance: InstanceId = parsed(&created["id"]);
        let key = user.key("sales").await;
        let instances = &self.state.instances;
        let wanted = instances.want(instance, Wanted::Connected).await;
        wanted.expect("stored").expect("there");
        self.daemon.pair(instance).await;
        self.daemon.lives().await;
        self.daemon.observe(instance, Status::Connected).await;
        (instance, key)
    }

    /// A file that came with a message.
    pub async fn file_came(&self, instance: InstanceId) -> MediaId {
        let state = &self.state;
        testbed::kept::file(&state.table, &state.sealer, instance, self.now()).await
    }

    /// An event that was sent to an instance's webhook in vain.
    pub async fn delivered(&self, instance: InstanceId) -> DeliveryId {
        testbed::kept::delivery(&self.state.table, instance, self.now())
            .await
            .id
    }

    /// An instance keeps contents, and has kept that of this message.
    pub async fn keeps(&self, user: &Caller, instance: InstanceId, message: &str) {
        let path = format!("/api/instances/{instance}");
        user.put(&path, json!({"contentDays": 7})).await.data(200);
        let stores = (&self.state.table, &*self.state.sealer);
        let id = message.parse().expect("an id");
        let said = Said::text("Hello");
        testbed::kept::content(stores, (instance, id), &said, self.now(), 7).await;
    }

    /// Lets an instance show a QR code.
    pub async fn shows_qr(&self, instance: InstanceId) {
        self.daemon.lives().await;
        self.daemon.show_qr(instance, "2@a,b,c,d,e", 1).await;
    }

    /// Lets an instance show a code for a number, as one shows it for which somebody has asked.
    pub async fn shows_pairing_code(&self, instance: InstanceId, phone: &str) {
        let request = PairingRequest {
            phone: phone.parse().expect("a number"),
            asked_at: self.now(),
        };
        let asked = self.state.instances.want_pairing(instance, &request).await;
        assert!(matches!(asked.expect("stored"), PairingWanted::Asked(_)));
        self.daemon.show_pairing_code(instance, "ABCD1234").await;
    }
}

impl Office {
    /// Lets WhatsApp want a passkey of an instance's owner. Answers a credential for it.
    pub async fn wants_passkey(&self, instance: InstanceId) -> Value {
        let options = json!({"challenge": "Y2hhbGxlbmdl", "rpId": "localhost"}).to_string();
        let stage = PasskeyStage::Assertion;
        self.daemon.ask_for_passkey(instance, stage, "m1", &options).await;
        let data = json!({"type": "webauthn.get", "challenge": "Y2hhbGxlbmdl"}).to_string();
        json!({
            "id": "cGFzc2tleQ",
            "rawId": "cGFzc2tleQ",
            "type": "public-key",
            "response": {
                "clientDataJSON": URL_SAFE_NO_PAD.encode(data),
                "authenticatorData": "AAAA",
                "signature": "AAAA",
            },
        })
    }

    /// The same with a code to be compared. Answers it.
    pub async fn wants_confirmation(&self, instance: InstanceId) -> &'static str {
        let (stage, code) = (PasskeyStage::Confirmation, "ABCD-1234");
        self.daemon.ask_for_passkey(instance, stage, "m2", code).await;
        code
    }
}

/// An id in an answer.
fn parsed<T: std::str::FromStr>(value: &Value) -> T {
    let parsed = value.as_str().expect("a text").parse().ok();
    parsed.expect("an id")
}
