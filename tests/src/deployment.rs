//! A deployment in pieces: daemons as processes, and the API and the stores in the process of the test, with a relay before each
//! store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use daemon::whatsapp::NETWORK;
use functions::service::{self, States};
use shared::bucket::Bucket;
use shared::clock::{Clock, SystemClock};
use shared::config::{Functions, Wrapping};
use shared::domain::message::MessageRecord;
use shared::ids::InstanceId;
use shared::mail::NoMailer;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::sqs::SqsQueue;
use shared::queue::{Queue, QueueNames};
use shared::seal::{KeyWrapper, Purpose, Sealer};
use shared::storage::Table;
use shared::storage::leases::Leases;
use shared::storage::messages::Messages;
use testbed::bucket::in_directory;
use testbed::relay::Relay;
use testbed::served::Served;
use testbed::sqs::SqsStandIn;
use testbed::table::{Database, table};
use testbed::wait::until;

use crate::daemon_process::{CLOCK_OFFSET, DaemonProcess, Surroundings, printed_to};

/// Records of a page.
const PAGE: u32 = 500;

/// The table and the queues. They end with this.
#[derive(Debug)]
pub struct Stores {
    /// Between everybody and the table.
    pub table: Relay,
    /// Between everybody and the queues.
    pub queue: Relay,
    /// The table past the relay.
    pub records: Table,
    /// The queues past the relay.
    pub queues: Arc<EmbeddedQueue>,
    /// Their names.
    pub names: QueueNames,
    /// Shards of the network.
    pub shards: u32,
    sqs: SqsStandIn,
    database: Database,
}

impl Stores {
    /// Empty ones, for so many shards.
    pub async fn start(shards: u32) -> Self {
        let database = Database::start().await;
        let (queues, names) = testbed::queues::queues(Arc::new(SystemClock), NETWORK, shards).await;
        let queues = Arc::new(queues);
        let sqs = SqsStandIn::over(queues.clone()).await;
        Self {
            table: Relay::before(&database.endpoint).await,
            queue: Relay::before(sqs.endpoint()).await,
            records: database.table(),
            queues,
            names,
            shards,
            sqs,
            database,
        }
    }

    /// What a daemon finds that reaches both over the relays. Its data keys are wrapped so, its bucket is in a folder of this
    /// directory, and it connects to this WebSocket.
    pub fn over_relays(&self, sandbox: String, wrapping: Wrapping, directory: PathBuf) -> Surroundings {
        Surroundings {
            table: self.table.endpoint().to_owned(),
            queue: self.queue.endpoint().to_owned(),
            sandbox,
            wrapping,
            directory,
            shards: self.shards,
            variables: Vec::new(),
        }
    }

    /// The same where it reaches both past the relays, which take time of their own.
    pub fn past_relays(&self, sandbox: String, wrapping: Wrapping, directory: PathBuf) -> Surroundings {
        Surroundings {
            table: self.database.endpoint.clone(),
            queue: self.sqs.endpoint().to_owned(),
            ..self.over_relays(sandbox, wrapping, directory)
        }
    }

    /// The leases, read past the relay.
    pub fn leases(&self) -> Leases {
        Leases::new(self.records.clone(), NETWORK)
    }

    /// Waits until so many daemons have shards, and all shards are taken. While these change hands QR codes come and go.
    pub async fn until_shared_out(&self, daemons: usize) {
        let leases = self.leases();
        until("every daemon's share", async || {
            let leases = leases.list_all().await.expect("read");
            let owners: BTreeSet<String> = leases.iter().filter_map(|lease| lease.owner.clone()).collect();
            (leases.len() == self.shards as usize && owners.len() == daemons).then_some(())
        })
        .await;
    }

    /// All records of an instance, read past the relay.
    pub async fn records_of(&self, instance: InstanceId) -> Vec<MessageRecord> {
        let messages = Messages::new(self.records.clone());
        let mut all: Vec<MessageRecord> = Vec::new();
        loop {
            let before = all.last().map(|record| record.id);
            let page = messages.list(instance, before, PAGE).await.expect("read");
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// What is left of jobs, and what was given up, in words.
    pub async fn left_in_queues(&self) -> Vec<String> {
        let mut left = Vec::new();
        for shard in 0..self.shards {
            let depth = self.queues.depth(&self.names.sends(shard)).await.expect("read");
            if depth.visible + depth.in_flight > 0 {
                left.push(format!("jobs are left in shard {shard}: {depth:?}"));
            }
        }
        for dead in [self.names.dead_fifo(), self.names.dead()] {
            let depth = self.queues.depth(&dead).await.expect("read");
            if depth.visible > 0 {
                left.push(format!("dead letters are in {dead}: {depth:?}"));
            }
        }
        left
    }
}

/// How many records of incoming messages there are beyond one for each. A message whose commit was done, and whose ratchet or
/// acknowledgement was lost with its daemon, is new to the library of the next one, and not to its store.
pub fn recorded_again(records: &[MessageRecord]) -> usize {
    let mut seen = BTreeSet::new();
    let ids = records.iter().filter_map(|record| record.whatsapp_id.as_deref());
    ids.filter(|id| !seen.insert(*id)).count()
}

/// The API. It ends with this.
#[derive(Debug)]
pub struct Api {
    /// What its functions work with.
    pub states: States,
    /// What seals content.
    pub sealer: Arc<Sealer>,
    /// Its bucket.
    pub bucket: Bucket,
    served: Served,
}

impl Api {
    /// Serves it over the relays of these stores. Data keys are under this wrapper, and the bucket is in a folder of this
    /// directory.
    pub async fn start(
        stores: &Stores,
        config: &Functions,
        wrapper: Arc<dyn KeyWrapper>,
        directory: &Path,
    ) -> Self {
        let queue = SqsQueue::from_config(&shared::aws::stand_in(stores.queue.endpoint()));
        let records = table(stores.table.endpoint());
        Self::over(records, Arc::new(queue), config, wrapper, directory).await
    }

    /// The same past the relays, with the queues at hand as in a process that has them.
    pub async fn past_relays(
        stores: &Stores,
        config: &Functions,
        wrapper: Arc<dyn KeyWrapper>,
        directory: &Path,
    ) -> Self {
        let queue = stores.queues.clone();
        Self::over(stores.records.clone(), queue, config, wrapper, directory).await
    }

    async fn over(
        records: Table,
        queue: Arc<dyn Queue>,
        config: &Functions,
        wrapper: Arc<dyn KeyWrapper>,
        directory: &Path,
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let sealer = Sealer::new(records.clone(), wrapper)
            .restricted_to(&[Purpose::Content])
            .making_no_keys();
        let sealer = Arc::new(sealer);
        let bucket = in_directory(
            directory,
            "http://waxwing.example",
            Arc::clone(&sealer),
            Arc::clone(&clock),
        );
        let states = States::new(
            config,
            records,
            queue,
            Arc::clone(&sealer),
            bucket.clone(),
            Arc::new(NoMailer),
            clock,
        );
        let states = states.expect("a queue prefix");
        Self {
            served: Served::start(service::all(states.clone())).await,
            states,
            sealer,
            bucket,
        }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        self.served.url()
    }
}

/// Starts the daemons of a deployment, each with a log of its own in the deployment's directory.
#[derive(Debug)]
pub struct Starter {
    program: String,
    surroundings: Surroundings,
    started: AtomicUsize,
}

impl Starter {
    /// Starts this program in these surroundings.
    pub fn of(program: impl Into<String>, surroundings: Surroundings) -> Self {
        Self {
            program: program.into(),
            surroundings,
            started: AtomicUsize::new(0),
        }
    }

    /// Another daemon, when it is up.
    pub async fn start(&self) -> DaemonProcess {
        self.start_in(&self.surroundings).await
    }

    /// The same for one that reaches the table at this address.
    pub async fn start_on(&self, table: &str) -> DaemonProcess {
        let surroundings = Surroundings {
            table: table.to_owned(),
            ..self.surroundings.clone()
        };
        self.start_in(&surroundings).await
    }

    /// The same for one whose clock is ahead by so many whole seconds, or behind, and which does not correct it. Only
    /// `daemon-under-test` has such a clock.
    pub async fn start_wrong_by(&self, offset: TimeDelta) -> DaemonProcess {
        self.start_with_clock(offset, "machine").await
    }

    /// The same for one that corrects it by the table's.
    pub async fn start_corrected(&self, offset: TimeDelta) -> DaemonProcess {
        self.start_with_clock(offset, "table").await
    }

    async fn start_with_clock(&self, offset: TimeDelta, goes_by: &str) -> DaemonProcess {
        let mut surroundings = self.surroundings.clone();
        surroundings.variables.extend([
            (CLOCK_OFFSET, offset.num_seconds().to_string()),
            ("WAXWING_CLOCK", goes_by.to_owned()),
        ]);
        self.start_in(&surroundings).await
    }

    async fn start_in(&self, surroundings: &Surroundings) -> DaemonProcess {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        DaemonProcess::start(&self.program, &self.log(number), surroundings).await
    }

    fn log(&self, number: usize) -> PathBuf {
        let directory = &self.surroundings.directory;
        directory.join(format!("daemon-{number}.log"))
    }

    /// What each of them has logged, in the order of their starts.
    pub fn logs(&self) -> impl Iterator<Item = String> {
        let logs = (0..self.started()).map(move |number| self.log(number));
        logs.map(|log| std::fs::read_to_string(log).expect("a log"))
    }

    /// What each of them has printed on standard output, in the order of their starts.
    pub fn printed(&self) -> impl Iterator<Item = String> {
        let logs = (0..self.started()).map(move |number| self.log(number));
        logs.map(|log| std::fs::read_to_string(printed_to(&log)).expect("a file"))
    }

    /// How many were started.
    pub fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }

    /// Where they reach the table.
    pub fn table(&self) -> &str {
        &self.surroundings.table
    }
}
