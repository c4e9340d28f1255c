//! A daemon, played by a test of the API: it holds the first shard of the sandbox network and writes what a daemon writes.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use shared::clock::Clock;
use shared::domain::instance::{Account, Instance, Observed, PairingCode, QrCode, Status};
use shared::domain::network::Network;
use shared::domain::passkey::{PasskeyRequest, PasskeyStage};
use shared::domain::person::Person;
use shared::domain::shard::Shard;
use shared::ids::InstanceId;
use shared::seal::{Purpose, Sealer};
use shared::storage::Table;
use shared::storage::instances::{Instances, Observation};
use shared::storage::leases::{Beat, Leases};

/// Its name.
const NAME: &str = "daemon-1";

/// How long a QR code is good for.
const QR_TERM: TimeDelta = TimeDelta::seconds(20);

/// How long a pairing code is good for.
const PAIRING_CODE_TERM: TimeDelta = TimeDelta::seconds(180);

/// How long WhatsApp waits for the account's owner.
const PASSKEY_TERM: TimeDelta = TimeDelta::minutes(5);

/// A daemon of a test's own making. Cheap to make anew.
#[derive(Debug)]
pub struct PlayedDaemon {
    instances: Instances,
    leases: Leases,
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
}

impl PlayedDaemon {
    /// One on this table.
    pub fn on(table: &Table, sealer: Arc<Sealer>, clock: Arc<dyn Clock>) -> Self {
        Self {
            instances: Instances::new(table.clone()),
            leases: Leases::new(table.clone(), Network::Sandbox),
            sealer,
            clock,
        }
    }

    /// It holds the shard and beats now.
    pub async fn lives(&self) {
        if self.lease().await.is_none() {
            self.take(None).await;
        }
        self.beat().await;
    }

    /// It takes the shard over from the daemon that had it.
    pub async fn takes_over(&self) {
        self.take(self.lease().await).await;
        self.beat().await;
    }

    /// A phone has scanned the code, or its owner has typed it.
    pub async fn pair(&self, instance: InstanceId) {
        let account = Account {
            person: Person {
                phone: Some("15550100001".into()),
                lid: Some("100000012345678".into()),
            },
            display_name: Some("Sales".into()),
        };
        let stored = self.instances.set_account(instance, 1, Some(&account)).await;
        assert_eq!(stored.expect("stored"), Observation::Stored);
    }

    /// A connection has changed.
    pub async fn observe(&self, instance: InstanceId, status: Status) {
        self.store(instance, self.observed(instance, status).await).await;
    }

    /// An attempt is over.
    pub async fn end(&self, instance: InstanceId, status: Status, reason: &str) {
        let observed = Observed {
            reason: Some(reason.to_owned()),
            ..self.observed(instance, status).await
        };
        self.store(instance, observed).await;
    }

    /// It has a QR code to show.
    pub async fn show_qr(&self, instance: InstanceId, code: &str, attempt: u8) {
        let observed = Observed {
            qr: Some(QrCode {
                sealed: self.sealed(instance, &QrCode::aad(instance), code).await,
                attempt,
                expires_at: self.now() + QR_TERM,
            }),
            ..self.observed(instance, Status::AwaitingQr).await
        };
        self.store(instance, observed).await;
    }

    /// It has a pairing code to show.
    pub async fn show_pairing_code(&self, instance: InstanceId, code: &str) {
        self.lives().await;
        let observed = Observed {
            pairing_code: Some(PairingCode {
                sealed: self.sealed(instance, &PairingCode::aad(instance), code).await,
                expires_at: self.now() + PAIRING_CODE_TERM,
            }),
            ..self.observed(instance, Status::AwaitingPairingCode).await
        };
        self.store(instance, observed).await;
        self.lives().await;
    }

    /// WhatsApp wants something of the account's owner: an assertion for these options, or a code to be compared.
    pub async fn ask_for_passkey(&self, instance: InstanceId, stage: PasskeyStage, mark: &str, text: &str) {
        self.lives().await;
        let aad = PasskeyRequest::aad(instance, mark);
        let observed = Observed {
            passkey: Some(PasskeyRequest {
                stage,
                mark: mark.to_owned(),
                sealed: self.sealed(instance, &aad, text).await,
                expires_at: self.now() + PASSKEY_TERM,
            }),
            ..self.observed(instance, Status::AwaitingPasskey).await
        };
        self.store(instance, observed).await;
        self.lives().await;
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    async fn lease(&self) -> Option<u64> {
        let lease = self.leases.get(Shard(0)).await.expect("read");
        lease.map(|lease| lease.token)
    }

    async fn take(&self, from: Option<u64>) {
        let taken = self.leases.take(Shard(0), NAME, from).await;
        taken.expect("taken").expect("free");
    }

    async fn beat(&self) {
        let beat = Beat {
            daemon: NAME.to_owned(),
            counter: 1,
            duration_ms: 4_000,
            at: self.now(),
            round_trips_since: Some(self.now()),
            draining: false,
            vitals: None,
        };
        self.leases.beat(&beat).await.expect("stored");
    }

    async fn sealed(&self, instance: InstanceId, aad: &[u8], code: &str) -> Vec<u8> {
        let sealed = self.sealer.seal(instance, Purpose::Content, aad, code.as_bytes());
        sealed.await.expect("sealed")
    }

    /// What it tells of an instance, of the newest generation that is wanted.
    async fn observed(&self, instance: InstanceId, status: Status) -> Observed {
        let stored: Option<Instance> = self.instances.get_of_any(instance).await.expect("read");
        Observed {
            generation: stored.expect("there").desired.generation,
            ..Observed::new(status, self.now())
        }
    }

    async fn store(&self, instance: InstanceId, observed: Observed) {
        let stored = self.instances.observe(instance, 1, &observed).await;
        assert_eq!(stored.expect("stored"), Observation::Stored);
    }
}
