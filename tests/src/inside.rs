//! The API and a daemon in the test's own process, over stores that the test has.

use std::sync::Arc;
use std::time::Duration;

use daemon::app::{App, Parts, Sessions};
use daemon::files;
use daemon::whatsapp::{NETWORK, Settings};
use functions::service::{self, States};
use sandbox::Sandbox;
use shared::bucket::Bucket;
use shared::clock::Clock;
use shared::domain::event::Wants;
use shared::domain::job::Query;
use shared::domain::payload;
use shared::ids::InstanceId;
use shared::mail::NoMailer;
use shared::queue::{OutgoingMessage, Queue, QueueNames};
use shared::seal::{Purpose, Sealer};
use shared::storage::Table;
use shared::storage::instances::Instances;
use testbed::caller::Bases;
use testbed::served::Served;
use testbed::wait::until;
use testbed::world::Keys;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::flow::Paired;

/// What both stand on.
#[derive(Debug)]
pub struct Stores<'a> {
    /// The table as the API reaches it.
    pub api: Table,
    /// The table as the daemon reaches it.
    pub daemon: Table,
    /// The queues.
    pub queue: Arc<dyn Queue>,
    /// Their names.
    pub names: QueueNames,
    /// Shards of the network.
    pub shards: u32,
    /// The wrapping key; the bucket is in a folder beside it.
    pub keys: &'a Keys,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
}

/// Both, at work. They end with this.
#[derive(Debug)]
pub struct Inside {
    /// Where the API answers.
    pub bases: Bases,
    /// The API's bucket, and the daemon's.
    pub buckets: [Bucket; 2],
    api: Served,
    running: JoinHandle<()>,
    stop_daemon: DropGuard,
}

impl Inside {
    /// Starts them beside this sandbox.
    pub async fn start(stores: Stores<'_>, sandbox: &Sandbox) -> Self {
        let Stores {
            api,
            daemon,
            queue,
            names,
            shards,
            keys,
            clock,
        } = stores;
        let config = testbed::config::functions(shards, keys.file());
        let bucket = |sealer: &Arc<Sealer>| {
            let sealer = Arc::clone(sealer);
            testbed::bucket::in_directory(keys.directory(), "http://waxwing.example", sealer, clock.clone())
        };
        let sealer = Arc::new(keys.sealer(&daemon));
        let daemons = bucket(&sealer);
        let parts = Parts {
            bucket: daemons.clone(),
            beats: daemon.apart(),
            leases: daemon.apart(),
            table: daemon,
            queue: queue.clone(),
            names,
            sealer,
            clock: clock.clone(),
            shards,
            // Nobody else is there to take over.
            lease: Duration::from_mins(1),
            starts: 16,
            queue_limits: shared::config::QueueLimits::default(),
            network: NETWORK,
            sessions: Sessions::WhatsApp(
                Settings::for_network(&sandbox.ws_url()).with_sandbox_ca(Some(sandbox.ca_pem().to_owned())),
            ),
            files: files::Settings::default(),
            realtime: None,
        };
        let app = App::start(parts).await.expect("a daemon");
        let sealer = Arc::new(keys.sealer(&api).restricted_to(&[Purpose::Content]));
        let apis = bucket(&sealer);
        let mailer = Arc::new(NoMailer);
        let states = States::new(&config, api, queue, sealer, apis.clone(), mailer, clock);
        let api = Served::start(service::all(states.expect("a queue prefix"))).await;
        let stop_daemon = CancellationToken::new();
        let running = tokio::spawn(app.run(stop_daemon.clone()));
        Self {
            bases: Bases::one(&api.url()),
            buckets: [apis, daemons],
            api,
            running,
            stop_daemon: stop_daemon.drop_guard(),
        }
    }

    /// Stops both in order, and waits for the daemon.
    pub async fn stop(self) {
        drop(self.api);
        drop(self.stop_daemon);
        self.running.await.expect("it does not panic");
    }
}

/// The id of a paired instance.
pub async fn instance(paired: &Paired) -> InstanceId {
    let path = format!("/api/instances/{}", paired.instance);
    let instance = paired.user.get(&path).await.data(200);
    let id = instance["id"].as_str().expect("an id");
    id.parse().expect("an instance's")
}

/// Asks for all events of an instance, and waits until its daemon knows.
pub async fn listen(table: &Table, queue: &dyn Queue, id: InstanceId) {
    let instances = Instances::new(table.clone());
    let instance = instances
        .get_of_any(id)
        .await
        .expect("read")
        .expect("it is there");
    let wants = Wants::everything();
    let listening = instances.want_events(instance.subscription, id, &wants);
    assert!(listening.await.expect("stored"));
    let names = QueueNames::new(testbed::queues::PREFIX, NETWORK.as_str()).expect("names");
    let queries = names.queries(instance.shard.0);
    let nudge = OutgoingMessage::standard(payload::encode(&Query::Nudge { instance: id }));
    queue.send(&queries, nudge).await.expect("queued");
    until("the end of the nudge", async || {
        let depth = queue.depth(&queries).await.expect("read");
        (depth.visible + depth.in_flight == 0).then_some(())
    })
    .await;
}
