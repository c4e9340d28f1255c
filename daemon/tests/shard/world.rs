//! A table, queues and daemons on them, with the network played by the test.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use daemon::deps::{Deps, RoundTrips};
use daemon::lease::{HeldShards, Keeper};
use daemon::shard::Shards;
use shared::clock::{Clock as _, SteppedClock, SystemClock};
use shared::domain::instance::{Desired, Instance, Observed, Status, Wanted};
use shared::domain::job::{self, Content, Job, Query, SendJob};
use shared::domain::message::{Direction, Kind, MessageRecord, State};
use shared::domain::network::Network as NetworkName;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::domain::shard::{Shard, lane};
use shared::ids::{InstanceId, MessageId, SubscriptionId};
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{OutgoingMessage, Queue as _, QueueNames, ReceiveOptions, Received, names};
use shared::seal::{Purpose, Sealer};
use shared::storage::Table;
use shared::storage::counters::{Counters, Counts};
use shared::storage::instances::{Created, Instances};
use shared::storage::keys;
use shared::storage::leases::Leases;
use shared::storage::messages::{Messages, Put};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::embedded;
use crate::network::{Network, Playing};
use crate::queue::Watched;
use crate::wait::{in_time, until};

/// The silence after which a daemon's shards are another's: shorter than a deployment's,
/// for the tests that wait for it.
pub const LEASE: Duration = Duration::from_secs(3);

const NETWORK: NetworkName = NetworkName::Sandbox;
const SUBSCRIPTION: SubscriptionId = SubscriptionId::from_bytes([9; 16]);

pub struct World {
    pub table: Table,
    pub clock: SteppedClock,
    pub queue: Arc<Watched>,
    pub names: QueueNames,
    pub sealer: Arc<Sealer>,
    pub instances: Instances,
    pub messages: Messages,
    pub counters: Counters,
    pub leases: Leases,
    endpoint: String,
    shards: u32,
    directory: TempDir,
    _server: DropGuard,
}

/// A daemon that runs.
pub struct Daemon {
    pub network: Arc<Network>,
    pub holding: HeldShards,
    sessions: mpsc::Receiver<Playing>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl World {
    /// A world of one shard.
    pub async fn new() -> Self {
        Self::of(1).await
    }

    pub async fn of(shards: u32) -> Self {
        let (endpoint, server) = embedded::database().await;
        let table = embedded::table(&endpoint).await;
        let subscription = keys::subscription(SUBSCRIPTION).attributes();
        table
            .client()
            .put_item()
            .table_name(table.name())
            .set_item(Some(subscription))
            .send()
            .await
            .expect("stored");
        // Visibility runs by the machine's clock: what is hidden comes back by itself.
        let queue = EmbeddedQueue::open(None, Arc::new(SystemClock)).expect("opened");
        let queue = Arc::new(Watched::new(queue));
        let names = QueueNames::new("waxwing", NETWORK.as_str()).expect("names");
        names::ensure_all(queue.as_ref(), &names, shards)
            .await
            .expect("created");
        let directory = tempfile::tempdir().expect("a directory");
        Self {
            clock: embedded::clock(),
            sealer: embedded::sealer(&table, directory.path()),
            instances: Instances::new(table.clone()),
            messages: Messages::new(table.clone()),
            counters: Counters::new(table.clone()),
            leases: Leases::new(table.clone(), NETWORK),
            table,
            queue,
            names,
            endpoint,
            shards,
            directory,
            _server: server,
        }
    }

    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Starts a daemon of this name.
    pub async fn daemon(&self, name: &str) -> Daemon {
        self.daemon_on(name, &self.endpoint).await
    }

    /// Starts a daemon that reaches the table at this endpoint.
    pub async fn daemon_on(&self, name: &str, endpoint: &str) -> Daemon {
        let table = embedded::table(endpoint).await;
        let (network, sessions) = Network::new();
        let deps = Arc::new(Deps {
            instances: Instances::new(table.clone()),
            messages: Messages::new(table.clone()),
            counters: Counters::new(table.clone()),
            queue: self.queue.clone(),
            names: self.names.clone(),
            sealer: embedded::sealer(&table, self.directory.path()),
            clock: Arc::new(self.clock.clone()),
            network: NETWORK,
            connector: network.clone(),
            round_trips: RoundTrips::default(),
            table: table.clone(),
        });
        let keeper = Keeper::new(
            Leases::new(table, NETWORK),
            name.to_owned(),
            self.shards,
            LEASE,
            Arc::new(self.clock.clone()),
            Shards::new(deps),
        );
        let holding = keeper.holding();
        let stop = CancellationToken::new();
        Daemon {
            network,
            holding,
            sessions,
            running: tokio::spawn(keeper.run(stop.clone())),
            stop,
        }
    }

    /// An instance of the first shard that is wanted connected.
    pub async fn instance(&self, name: &str) -> Instance {
        self.instance_of(name, Shard(0)).await
    }

    pub async fn instance_of(&self, name: &str, shard: Shard) -> Instance {
        let instance = Instance {
            id: InstanceId::new(self.now()),
            subscription: SUBSCRIPTION,
            name: name.parse().expect("a name"),
            network: NETWORK,
            shard,
            metadata: std::collections::BTreeMap::new(),
            created_at: self.now(),
            desired: Desired {
                wanted: Wanted::Connected,
                generation: 1,
            },
            observed: Observed {
                status: Status::Disconnected,
                since: self.now(),
                reason: None,
                last_error: None,
                last_round_trip_at: None,
                qr: None,
                generation: 0,
            },
            account: None,
        };
        let created = self.instances.create(&instance, 100).await.expect("created");
        assert_eq!(created, Created::Created);
        instance
    }

    /// Asks for `wanted` as the API does: stores it and nudges the shard.
    pub async fn want(&self, instance: &Instance, wanted: Wanted) {
        self.instances
            .want(instance.id, wanted)
            .await
            .expect("stored")
            .expect("the instance is there");
        self.nudge(instance).await;
    }

    pub async fn nudge(&self, instance: &Instance) {
        let nudge = job::encode(&Query::Nudge {
            instance: instance.id,
        });
        self.queue
            .send(
                &self.names.queries(instance.shard.0),
                OutgoingMessage::standard(nudge),
            )
            .await
            .expect("queued");
    }

    /// Nudges, and waits until the nudge is followed.
    pub async fn nudge_and_wait(&self, instance: &Instance) {
        self.nudge(instance).await;
        until("the end of the nudge", async || {
            let depth = self
                .queue
                .depth(&self.names.queries(instance.shard.0))
                .await
                .expect("read");
            (depth.visible + depth.in_flight == 0).then_some(())
        })
        .await;
    }

    pub async fn load(&self, instance: &Instance) -> Instance {
        let loaded = self.instances.load(instance.id).await.expect("read");
        loaded.expect("the instance is there")
    }

    pub async fn until_status(&self, instance: &Instance, status: Status) -> Instance {
        until(&format!("{status}"), async || {
            let loaded = self.load(instance).await;
            (loaded.observed.status == status).then_some(loaded)
        })
        .await
    }

    /// A job of a text as the API makes it.
    pub async fn job(&self, instance: &Instance, to: &str, text: &str) -> SendJob {
        let message = MessageId::new(self.now());
        let content = Content::Text {
            text: text.to_owned(),
        };
        let content = serde_json::to_vec(&content).expect("plain data");
        let aad = message.to_string();
        let sealed = self
            .sealer
            .seal(instance.id, Purpose::Content, aad.as_bytes(), &content)
            .await
            .expect("sealed");
        SendJob {
            message,
            instance: instance.id,
            to: to.parse::<Recipient>().expect("a number"),
            kind: Kind::Text,
            reference: Some("order 7".to_owned()),
            accepted_at: self.now(),
            expires_at: self.now() + TimeDelta::hours(24),
            content: STANDARD.encode(sealed),
        }
    }

    /// Stores a job's record.
    pub async fn record(&self, job: &SendJob) {
        let record = MessageRecord {
            id: job.message,
            instance: job.instance,
            direction: Direction::Outgoing,
            kind: job.kind,
            chat: job.to.clone(),
            person: Person {
                phone: job.to.phone().map(str::to_owned),
                lid: None,
            },
            state: State::Queued,
            failure: None,
            reference: job.reference.clone(),
            created_at: job.accepted_at,
            updated_at: job.accepted_at,
            sent_at: None,
            delivered_at: None,
            read_at: None,
            whatsapp_id: None,
        };
        assert_eq!(self.messages.put(&record).await.expect("stored"), Put::Created);
    }

    /// Queues a job.
    pub async fn enqueue(&self, instance: &Instance, job: &SendJob) {
        let body = job::encode(&Job::Send(job.clone()));
        self.enqueue_raw(instance, &job.to, body, &job.message.to_string())
            .await;
    }

    pub async fn enqueue_raw(&self, instance: &Instance, to: &Recipient, body: String, dedup: &str) {
        let message = OutgoingMessage::fifo(body, lane(instance.id, to), dedup);
        self.queue
            .send(&self.names.sends(instance.shard.0), message)
            .await
            .expect("queued");
    }

    /// Accepts a text as the API does: its record and its job.
    pub async fn accept(&self, instance: &Instance, to: &str, text: &str) -> MessageId {
        let job = self.job(instance, to, text).await;
        self.record(&job).await;
        self.enqueue(instance, &job).await;
        job.message
    }

    pub async fn until_state(&self, instance: &Instance, message: MessageId, state: State) -> MessageRecord {
        until(&format!("{state} of {message}"), async || {
            let record = self.messages.get(instance.id, message).await.expect("read")?;
            (record.state == state).then_some(record)
        })
        .await
    }

    /// Waits until the first shard's sends are all done.
    pub async fn until_no_sends(&self) {
        until("an empty queue of sends", async || {
            let depth = self.queue.depth(&self.names.sends(0)).await.expect("read");
            (depth.visible + depth.in_flight == 0).then_some(())
        })
        .await;
    }

    /// Today's counters, once they are `wanted`: they are counted after the state that a
    /// test has waited for.
    pub async fn until_counted(&self, instance: &Instance, wanted: impl Fn(&Counts) -> bool) -> Counts {
        let mut last = Counts::default();
        let found = tokio::time::timeout(Duration::from_secs(60), async {
            loop {
                last = self.counts(instance).await;
                if wanted(&last) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        let found = found.await;
        assert!(found.is_ok(), "counted {last:?}");
        last
    }

    /// The counters of all days.
    pub async fn counts(&self, instance: &Instance) -> Counts {
        let day = |days| (self.now() + TimeDelta::days(days)).date_naive();
        let days = self
            .counters
            .days(instance.id, day(-7), day(7))
            .await
            .expect("read");
        let mut sum = Counts::default();
        for (_, counts) in &days {
            sum.add(counts);
        }
        sum
    }

    /// The FIFO messages that wait in a queue, taken from it.
    pub async fn taken(&self, queue: &shared::queue::QueueName) -> Vec<Received> {
        let options = ReceiveOptions {
            max: 10,
            wait: Duration::ZERO,
            visibility: Duration::from_mins(10),
        };
        self.queue.receive(queue, options).await.expect("received")
    }

    /// An instance that a daemon has connected, and its session.
    pub async fn connected(&self, daemon: &mut Daemon) -> (Instance, Playing) {
        let instance = self.instance("main").await;
        self.nudge(&instance).await;
        let session = daemon.session().await;
        session.log_in().await;
        let instance = self.until_status(&instance, Status::Connected).await;
        (instance, session)
    }
}

impl Daemon {
    /// The next session that this daemon begins.
    pub async fn session(&mut self) -> Playing {
        in_time("a session", self.sessions.recv())
            .await
            .expect("the daemon lives")
    }

    /// Whether it has begun a session that nobody has taken.
    pub fn has_begun_another(&mut self) -> bool {
        self.sessions.try_recv().is_ok()
    }

    /// Asks it to hand over in order, and waits until it has.
    pub async fn stop(self) {
        self.stop.cancel();
        in_time("an orderly end", self.running).await.expect("no panic");
    }

    /// Lets it beat no more, without a word: what it serves goes on for as long as nothing
    /// tells it.
    pub fn freeze(&self) {
        self.running.abort();
    }

    pub async fn until_holding(&self, shards: usize) {
        until(&format!("{shards} shards"), async || {
            (self.holding.get().len() == shards).then_some(())
        })
        .await;
    }
}
