//! Daemons on a world's table and queues.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use daemon::announce::Announcer;
use daemon::deps::Deps;
use daemon::files::Files;
use daemon::instance::starts::Starts;
use daemon::lease::{HeldShards, Hold, Holder, Keeper, LeaseThread};
use daemon::people::Directory;
use daemon::preview::Previews;
use daemon::shard::Shards;
use shared::clock::{Clock, SteppedClock};
use shared::domain::instance::{Instance, Status};
use shared::reach::Reach;
use shared::session_state::Fence;
use shared::storage::counters::Counters;
use shared::storage::instances::Instances;
use shared::storage::leases::{Leases, Load};
use shared::storage::messages::Messages;
use shared::storage::schedule::Schedule;
use testbed::table::table;
use testbed::wait::{in_time, until};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::network::{Network, Playing};
use crate::world::{NETWORK, World};

/// Serves shards under fences that fall with the keeper's until the daemon is frozen: a process
/// that stands still revokes nothing.
struct Freezable {
    shards: Shards,
    frozen: CancellationToken,
    panics: Arc<Notify>,
}

impl Holder for Freezable {
    fn serve(&self, hold: Hold) -> JoinHandle<()> {
        let inner = Fence::new(hold.fence.token());
        let (outer, told, frozen) = (hold.fence.clone(), inner.clone(), self.frozen.clone());
        let runtime = self.runtime();
        runtime.spawn(async move {
            tokio::select! {
                biased;
                () = frozen.cancelled() => {}
                () = outer.revoked() => {
                    told.revoke();
                }
                () = told.revoked() => {
                    outer.revoke();
                }
            }
        });
        let serving = self.shards.serve(Hold { fence: inner, ..hold });
        let panics = Arc::clone(&self.panics);
        runtime.spawn(async move {
            tokio::select! {
                served = serving => served.expect("no panic"),
                // What it had begun goes on by itself.
                () = panics.notified() => panic!("as the test wants it"),
            }
        })
    }

    fn runtime(&self) -> Handle {
        self.shards.runtime()
    }

    fn round_trips_since(&self) -> Option<DateTime<Utc>> {
        self.shards.round_trips_since()
    }

    fn load(&self) -> Load {
        self.shards.load()
    }
}

/// A daemon that runs.
pub struct Daemon {
    pub deps: Arc<Deps>,
    pub network: Arc<Network>,
    pub holding: HeldShards,
    sessions: mpsc::Receiver<Playing>,
    stop: CancellationToken,
    frozen: CancellationToken,
    panics: Arc<Notify>,
    running: JoinHandle<()>,
}

impl World {
    /// Starts a daemon of this name.
    pub async fn daemon(&self, name: &str) -> Daemon {
        self.daemon_on(name, &self.database.endpoint).await
    }

    /// Starts a daemon that reaches the table at this endpoint.
    #[expect(
        clippy::unused_async,
        reason = "whoever starts a daemon need not know that nothing of it waits"
    )]
    pub async fn daemon_on(&self, name: &str, endpoint: &str) -> Daemon {
        self.daemon_with(name, endpoint, Handle::current(), None, self.right_clock())
    }

    /// Starts a daemon whose clock stands so far ahead of the world's.
    #[expect(
        clippy::unused_async,
        reason = "whoever starts a daemon need not know that nothing of it waits"
    )]
    pub async fn daemon_wrong_by(&self, name: &str, offset: TimeDelta) -> Daemon {
        let clock = Arc::new(SteppedClock::at(self.now() + offset));
        self.daemon_with(name, &self.database.endpoint, Handle::current(), None, clock)
    }

    fn right_clock(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }

    /// Starts a daemon that serves its shards on this runtime, and keeps their leases on a thread of its own.
    pub async fn daemon_apart(&self, name: &str, serving: Handle) -> Daemon {
        let thread = LeaseThread::start().await.expect("a thread");
        let clock = self.right_clock();
        self.daemon_with(name, &self.database.endpoint, serving, Some(thread), clock)
    }

    fn daemon_with(
        &self,
        name: &str,
        endpoint: &str,
        serving: Handle,
        thread: Option<LeaseThread>,
        clock: Arc<dyn Clock>,
    ) -> Daemon {
        let table = table(endpoint);
        let (frozen, panics) = (CancellationToken::new(), Arc::new(Notify::new()));
        let (network, sessions) = Network::new();
        let sealer = Arc::new(self.keys.sealer(&table).keeping(4_096, self.key_term));
        let announcer = Announcer::new(
            Instances::new(table.clone()),
            Messages::new(table.clone()),
            self.queue.clone(),
            &self.names,
            sealer.clone(),
            &TaskTracker::new(),
        );
        let bucket = testbed::bucket::in_directory(
            self.keys.directory(),
            "http://waxwing.example",
            sealer.clone(),
            Arc::clone(&clock),
        );
        let deps = Arc::new(Deps {
            announcer,
            instances: Instances::new(table.clone()),
            messages: Messages::new(table.clone()),
            schedule: Schedule::new(table.clone()),
            counters: Counters::new(table.clone()),
            people: Arc::new(Directory::new(
                table.clone(),
                Arc::clone(&clock),
                TaskTracker::new(),
            )),
            queue: self.queue.clone(),
            names: self.names.clone(),
            bucket: bucket.clone(),
            sealer,
            clock: Arc::clone(&clock),
            network: NETWORK,
            connector: network.clone(),
            round_trips: Arc::default(),
            meter: Arc::default(),
            files: Files::new(self.files.clone(), bucket).expect("a client"),
            previews: Previews::new(&daemon::files::Settings {
                reach: Reach::PRIVATE,
                ..daemon::files::Settings::default()
            })
            .expect("a client")
            // A page comes when its test lets it.
            .within(Duration::from_mins(1)),
            audience_deadline: self.audience_deadline,
            keys_patience: self.keys_patience,
            starts: Starts::new(16),
            queue_limits: self.queue_limits,
            table: table.clone(),
        });
        let keeper = Keeper::new(
            Leases::new(table.apart(), NETWORK),
            Leases::new(table.apart(), NETWORK),
            name.to_owned(),
            self.shards,
            self.lease,
            clock,
            Freezable {
                shards: Shards::new(deps.clone(), serving),
                frozen: frozen.clone(),
                panics: Arc::clone(&panics),
            },
        );
        let holding = keeper.holding();
        let stop = CancellationToken::new();
        let keeping = keeper.run(stop.clone());
        Daemon {
            deps,
            network,
            holding,
            sessions,
            running: match thread {
                Some(thread) => tokio::spawn(thread.run(keeping)),
                None => tokio::spawn(keeping),
            },
            stop,
            frozen,
            panics,
        }
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

    /// The same, which has session state.
    pub async fn linked(&self, daemon: &mut Daemon) -> (Instance, Playing) {
        let (instance, session) = self.connected(daemon).await;
        let stored = session.state.put("identity", b"a key", None).await;
        stored.expect("stored");
        (instance, session)
    }

    /// An instance without an account, whose session shows its first QR code.
    pub async fn showing_qr(&self, daemon: &mut Daemon) -> (Instance, Playing) {
        let instance = self.instance("main").await;
        self.nudge(&instance).await;
        let session = daemon.session().await;
        session.show_qr("2@code").await;
        let instance = self.until_status(&instance, Status::AwaitingQr).await;
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
        self.frozen.cancel();
        self.running.abort();
    }

    /// Lets the task that serves a shard end in a panic.
    pub fn panic(&self) {
        self.panics.notify_one();
    }

    pub async fn until_holding(&self, shards: usize) {
        until(&format!("{shards} shards"), async || {
            (self.holding.get().len() == shards).then_some(())
        })
        .await;
    }
}
