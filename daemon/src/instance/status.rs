//! Writes the status of an instance, each change once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::domain::event::Untold;
use shared::domain::instance::{Account, Instance, Observed, PairingCode, Pause, QrCode, Status};
use shared::domain::passkey::{PasskeyRequest, PasskeyStage};
use shared::domain::person::Person;
use shared::domain::reason::Reason;
use shared::ids::InstanceId;
use shared::seal::Purpose;
use shared::session_state::Fence;
use shared::storage::StorageError;
use shared::storage::instances::Observation;
use shared::telemetry::chain;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::starts::Start;
use crate::announce::sessions::News;
use crate::deps::Deps;
use crate::stop::Course;

/// How often a write is tried in a row: some three seconds where each fails at once.
const ATTEMPTS: u32 = 6;

/// The pause before the next row of tries of an owed write. It doubles each time, up to [`LONGEST_OWED_PAUSE`]; each
/// lasts between half and the whole of that, at random.
const OWED_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_OWED_PAUSE: Duration = Duration::from_secs(30);

/// What came of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Stored,
    /// The instance is gone or the lease is lost: this owner is done.
    Over,
    /// Not stored, as far as is known.
    Failed,
}

/// What came of a write that was owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is stored.
    Stored,
    /// Not yet: somebody asks for a connection.
    Asked,
    /// This owner is done: the instance is gone, the lease is lost, or it was told to stop.
    Over,
}

/// An instance's status as this owner knows it, and its way into the table.
#[derive(Debug)]
pub struct Observer {
    deps: Arc<Deps>,
    id: InstanceId,
    fence: Fence,
    observed: Observed,
    /// The status that is stored, and what is stored as not told.
    stored: (Status, Untold),
    /// Whether the status is one that was not stored yet.
    is_news: bool,
    account: Option<Account>,
    /// The account that it is, or was, paired with.
    person: Person,
    /// Whether the table may have another account.
    owes_account: bool,
    /// The latest request that the attempt was told of, which it answers.
    asked: Arc<AtomicU64>,
    /// The place in which the session began, until it is over.
    start: Start,
    /// As what the meter counts the instance: its status, and why it pauses, if it does.
    counted: (Status, Option<Course>),
}

impl Observer {
    /// The observer of an instance that is being served for its current request.
    pub fn new(deps: Arc<Deps>, instance: &Instance, fence: Fence, asked: Arc<AtomicU64>) -> Self {
        let mut observed = instance.observed.clone();
        observed.generation = instance.desired.generation;
        // Whatever the last owner has left: there is no connection yet.
        let status = if instance.account.is_some() {
            Status::Reconnecting
        } else {
            Status::Connecting
        };
        deps.meter.statuses.enter(status);
        Self {
            counted: (status, None),
            asked,
            start: Start::default(),
            deps,
            id: instance.id,
            fence,
            stored: (observed.status, observed.untold.clone()),
            is_news: false,
            observed,
            person: instance.person(),
            account: instance.account.clone(),
            owes_account: false,
        }
    }

    /// Whether the instance is paired with an account.
    pub fn is_paired(&self) -> bool {
        self.account.is_some()
    }

    /// The account that the instance is paired with, by its names that are known; nobody where there is none.
    pub fn account(&self) -> Person {
        let account = self.account.as_ref();
        account.map(|account| account.person.clone()).unwrap_or_default()
    }

    /// Whether the table may have another account.
    pub fn owes_account(&self) -> bool {
        self.owes_account
    }

    /// A session begins in this place. It is over when a code is shown or the session is connected.
    pub fn begins(&mut self, start: Start) {
        self.start = start;
    }

    /// Keeps an error for the next status that is written.
    pub fn note_error(&mut self, error: String) {
        self.observed.last_error = Some(error);
    }

    /// The last pause that is kept with the instance; it may be over.
    pub fn pause(&self) -> Option<&Pause> {
        self.observed.pause.as_ref()
    }

    /// Keeps a pause for the next status that is written.
    pub fn note_pause(&mut self, pause: Pause) {
        self.observed.pause = Some(pause);
    }

    /// Keeps a round trip for the next status that is written. Answers whether it is a later one.
    pub fn note_round_trip(&mut self, at: DateTime<Utc>) -> bool {
        let is_later = self.observed.last_round_trip_at < Some(at);
        if is_later {
            self.observed.last_round_trip_at = Some(at);
        }
        is_later
    }

    /// Writes a status, trying for some seconds. `false` where it is not stored: the instance is
    /// gone, the lease lost, or the table cannot be written now.
    pub async fn set(&mut self, status: Status, reason: Option<Reason>) -> bool {
        self.turn_to(status, reason.map(Reason::as_str));
        self.write().await == Written::Stored
    }

    /// The same for a session that is connected. `show` is called once that is stored and before it is told: whoever hears
    /// of it finds the connection.
    pub async fn set_connected(&mut self, show: impl FnOnce() + Send) -> bool {
        self.turn_to(Status::Connected, None);
        self.start.over();
        self.note_round_trip(self.deps.clock.now());
        self.observed.last_error = None;
        self.write_and(show).await == Written::Stored
    }

    /// Writes a status that must not be lost, for as long as the shard is held, since the next session goes by the
    /// item. `stop` ends it after a row of tries, `asked` between two rows.
    pub async fn settle(
        &mut self,
        status: Status,
        reason: Option<Reason>,
        stop: &CancellationToken,
        asked: &Notify,
    ) -> Settled {
        self.turn_to(status, reason.map(Reason::as_str));
        self.settle_noted(stop, asked).await
    }

    /// The same for what was noted, under the present status.
    pub async fn settle_noted(&mut self, stop: &CancellationToken, asked: &Notify) -> Settled {
        let mut pause = OWED_PAUSE;
        loop {
            match self.write().await {
                Written::Stored => return Settled::Stored,
                Written::Over => return Settled::Over,
                Written::Failed if stop.is_cancelled() => return Settled::Over,
                Written::Failed => {}
            }
            tokio::select! {
                biased;
                () = self.fence.revoked() => return Settled::Over,
                // Another row before the end.
                () = stop.cancelled() => {}
                () = asked.notified() => return Settled::Asked,
                () = tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..=1.0))) => {}
            }
            pause = (pause * 2).min(LONGEST_OWED_PAUSE);
        }
    }

    /// Writes that a QR code waits.
    pub async fn set_qr(&mut self, code: &str, attempt: u8, expires_at: DateTime<Utc>) -> bool {
        let Some(sealed) = self.seal(&QrCode::aad(self.id), code).await else {
            return false;
        };
        self.start.over();
        self.turn_to(Status::AwaitingQr, None);
        self.observed.qr = Some(QrCode {
            sealed,
            attempt,
            expires_at,
        });
        self.write().await == Written::Stored
    }

    /// Writes that a pairing code waits to be entered.
    pub async fn set_pairing_code(&mut self, code: &str, expires_at: DateTime<Utc>) -> bool {
        let Some(sealed) = self.seal(&PairingCode::aad(self.id), code).await else {
            return false;
        };
        self.start.over();
        self.turn_to(Status::AwaitingPairingCode, None);
        self.observed.pairing_code = Some(PairingCode { sealed, expires_at });
        self.write().await == Written::Stored
    }

    /// Writes that something is wanted of the account's owner: the options of an assertion, or a code to compare.
    pub async fn set_passkey(
        &mut self,
        stage: PasskeyStage,
        mark: &str,
        text: &str,
        expires_at: DateTime<Utc>,
    ) -> bool {
        let Some(sealed) = self.seal(&PasskeyRequest::aad(self.id, mark), text).await else {
            return false;
        };
        self.start.over();
        self.turn_to(Status::AwaitingPasskey, None);
        self.observed.passkey = Some(PasskeyRequest {
            stage,
            mark: mark.to_owned(),
            sealed,
            expires_at,
        });
        self.write().await == Written::Stored
    }

    fn turn_to(&mut self, status: Status, reason: Option<&str>) {
        if self.observed.status != status {
            self.observed.since = self.observed.next_since(self.deps.clock.now());
            info!(instance.id = %self.id, from = %self.observed.status, to = %status, reason, "status changes");
        }
        self.observed.status = status;
        self.observed.reason = reason.map(str::to_owned);
        self.observed.qr = None;
        self.observed.pairing_code = None;
        self.observed.passkey = None;
        self.is_news = true;
        self.count_as(status, reason);
    }

    fn count_as(&mut self, status: Status, reason: Option<&str>) {
        let is_apart = matches!(status, Status::Connecting | Status::Reconnecting);
        let pause = reason.filter(|_| is_apart).and_then(Course::paused_for);
        let before = std::mem::replace(&mut self.counted, (status, pause));
        let meter = &self.deps.meter;
        meter.statuses.enter(status);
        meter.statuses.leave(before.0);
        if let Some(pause) = pause {
            meter.pauses.enter(pause);
        }
        if let Some(pause) = before.1 {
            meter.pauses.leave(pause);
        }
    }

    async fn seal(&self, aad: &[u8], code: &str) -> Option<Vec<u8>> {
        let sealing = self
            .deps
            .sealer
            .seal(self.id, Purpose::Content, aad, code.as_bytes());
        match Box::pin(sealing).await {
            Ok(sealed) => Some(sealed),
            Err(error) => {
                error!(instance.id = %self.id, error = %chain(&error), "a code to pair by could not be sealed");
                None
            }
        }
    }

    /// Writes the account that the instance is paired with, or that there is none. If that cannot be written it is
    /// owed, and goes before the next status.
    pub async fn set_account(&mut self, account: Option<Account>) -> bool {
        if let Some(account) = &account {
            self.person.clone_from(&account.person);
        }
        if self.account != account {
            self.account = account;
            self.owes_account = true;
        }
        self.write_account().await == Written::Stored
    }

    async fn write_account(&mut self) -> Written {
        if !self.owes_account {
            return Written::Stored;
        }
        let (deps, id, token) = (&self.deps, self.id, self.fence.token());
        let account = self.account.as_ref();
        let written = self
            .persist(|| deps.instances.set_account(id, token, account))
            .await;
        self.owes_account = written != Written::Stored;
        if written == Written::Stored {
            self.tell_pairing();
        }
        written
    }

    async fn write(&mut self) -> Written {
        self.write_and(|| {}).await
    }

    /// Writes the status, and tells of it where it is stored and `stored` was called.
    async fn write_and(&mut self, stored: impl FnOnce() + Send) -> Written {
        let account = self.write_account().await;
        if account != Written::Stored {
            return account;
        }
        self.observed.generation = self.observed.generation.max(self.asked.load(Ordering::Relaxed));
        let (deps, id, token) = (Arc::clone(&self.deps), self.id, self.fence.token());
        let (from, untold) = self.stored.clone();
        // What was to be stored before and is not has not happened.
        self.observed.untold = untold;
        let mut news = News::default();
        if self.is_news {
            let (announcer, person) = (&deps.announcer, &self.person);
            news = Box::pin(announcer.session_becomes(id, from, &mut self.observed, person)).await;
        }
        let written = self
            .persist(|| deps.instances.observe(id, token, &self.observed))
            .await;
        if written == Written::Stored {
            stored();
            if self.is_news && !self.is_paired() {
                self.tell_pairing();
            }
            self.is_news = false;
            let untold = &self.observed.untold;
            let left = Box::pin(deps.announcer.session_is(id, &self.fence, news, untold)).await;
            self.stored = (self.observed.status, left);
        }
        written
    }

    fn tell_pairing(&self) {
        let Deps { announcer, clock, .. } = &*self.deps;
        announcer.pairing_goes_on(self.id, clock.now());
    }

    async fn persist<F, W>(&self, write: F) -> Written
    where
        F: Fn() -> W,
        W: Future<Output = Result<Observation, StorageError>>,
    {
        let mut pause = Duration::from_millis(100);
        for attempt in 1..=ATTEMPTS {
            if self.fence.is_revoked() {
                return Written::Over;
            }
            // A call that hangs must not hold up the end of a lease that is lost. It is boxed, since it has many times the size of
            // all that waits for it.
            let written = tokio::select! {
                written = Box::pin(write()) => written,
                () = self.fence.revoked() => return Written::Over,
            };
            match written {
                Ok(Observation::Stored) => return Written::Stored,
                Ok(Observation::Gone) => return Written::Over,
                Ok(Observation::Fenced) => {
                    self.fence.revoke();
                    return Written::Over;
                }
                Err(error) if !error.nature().is_permanent() && attempt < ATTEMPTS => {
                    warn!(instance.id = %self.id, error = %chain(&error), "a status could not be written, trying again");
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.fence.revoked() => return Written::Over,
                    }
                    pause *= 2;
                }
                Err(error) => {
                    error!(instance.id = %self.id, error = %chain(&error), "a status could not be written");
                    return Written::Failed;
                }
            }
        }
        Written::Failed
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        let (status, pause) = self.counted;
        let meter = &self.deps.meter;
        meter.statuses.leave(status);
        if let Some(pause) = pause {
            meter.pauses.leave(pause);
        }
    }
}
