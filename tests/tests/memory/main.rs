//! What files add to a daemon's memory: it is a process of its own here, and its peak is what the system says.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use daemon::whatsapp::NETWORK;
use functions::service::{self, States};
use futures::stream;
use sandbox::Sandbox;
use serde_json::{Value, json};
use shared::bucket::{Area, Bucket, Length, ObjectName};
use shared::clock::{Clock, SystemClock};
use shared::config::Wrapping;
use shared::ids::{InstanceId, MediaId};
use shared::mail::NoMailer;
use shared::reach::Reach;
use shared::seal::Purpose;
use testbed::caller::Bases;
use testbed::served::Served;
use testbed::sqs::SqsStandIn;
use testbed::table::Database;
use testbed::wait::until_within;
use testbed::world::Keys;
use tests::daemon_process::{DaemonProcess, Surroundings};
use tests::flow::{Paired, pair};
use tests::phones::Phones;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const DAEMON: &str = env!("CARGO_BIN_EXE_daemon-under-test");

const SHARDS: u32 = 1;

const MIB: u64 = 1_024 * 1_024;

/// The file that is sent: a hundred megabytes, in whole pieces.
const LARGE: u64 = 1_525 * PIECE as u64;

/// What it may add to the daemon's memory.
const MOST: u64 = 8 * MIB;

/// How long it may take to send the file, on the busiest machine.
const SENDING: Duration = Duration::from_mins(5);

/// A piece of a file.
const PIECE: usize = 64 * 1_024;

struct World {
    daemon: DaemonProcess,
    paired: Paired,
    instance: InstanceId,
    bucket: Bucket,
    _sandbox: Sandbox,
    _sqs: SqsStandIn,
    _database: Database,
    _api: Served,
    _keys: Keys,
}

impl World {
    async fn start() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let network = sandbox::Config::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let sandbox = Sandbox::start(network).await.expect("a sandbox");
        let database = Database::start().await;
        let (queues, _) = testbed::queues::queues(clock.clone(), NETWORK, SHARDS).await;
        let queues = Arc::new(queues);
        let sqs = SqsStandIn::over(queues.clone()).await;
        let keys = Keys::new();
        let sealer = keys.sealer(&database.table()).restricted_to(&[Purpose::Content]);
        let sealer = Arc::new(sealer.making_no_keys());
        let bucket = testbed::bucket::in_directory(
            keys.directory(),
            "http://x.example",
            sealer.clone(),
            clock.clone(),
        );
        let mut config = testbed::config::functions(SHARDS, keys.file());
        config.base.reach = Reach::PRIVATE;
        let states = States::new(
            &config,
            database.table(),
            queues,
            sealer,
            bucket.clone(),
            Arc::new(NoMailer),
            clock,
        );
        let api = Served::start(service::all(states.expect("a queue prefix"))).await;
        let authority = keys.directory().join("sandbox.pem");
        std::fs::write(&authority, sandbox.ca_pem()).expect("written");
        let surroundings = Surroundings {
            table: database.endpoint.clone(),
            queue: sqs.endpoint().to_owned(),
            sandbox: sandbox.ws_url(),
            wrapping: Wrapping::File(keys.file()),
            directory: keys.directory().to_owned(),
            shards: SHARDS,
            variables: vec![
                ("WAXWING_SANDBOX_CA", authority.display().to_string()),
                ("WAXWING_PRIVATE_ADDRESSES", "allow".to_owned()),
            ],
        };
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("memory.log");
        let daemon = DaemonProcess::start(DAEMON, &log, &surroundings).await;
        let phones = Phones::new(&sandbox.admin_url());
        let paired = pair(&Bases::one(&api.url()), &phones).await;
        let shown = paired.user.get("/api/instances/main").await.data(200);
        let instance = shown["id"].as_str().expect("an id").parse();
        Self {
            daemon,
            paired,
            instance: instance.expect("an instance's"),
            bucket,
            _sandbox: sandbox,
            _sqs: sqs,
            _database: database,
            _api: api,
            _keys: keys,
        }
    }

    /// Sends a document, and waits until WhatsApp has it.
    async fn send(&self, mut body: Value) {
        body["to"] = json!(self.paired.other);
        let key = &self.paired.key;
        let accepted = key.send("document", body).await.data(202);
        let message = accepted["id"].as_str().expect("an id").to_owned();
        until_within(SENDING, "its sending", async || {
            let shown = key.get(&format!("/api/messages/{message}")).await.data(200);
            let status = shown["status"].as_str().expect("a status").to_owned();
            assert!(status != "failed" && status != "expired", "{shown}");
            let is_sent = status != "queued";
            if !is_sent {
                // The key may ask a thousand times.
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            is_sent.then_some(())
        })
        .await;
    }

    /// A file that is uploaded.
    async fn upload(&self, size: u64) -> Value {
        let file = json!({"fileName": "large.bin", "mimeType": "application/x-large", "size": size});
        let made = self.paired.key.post("/api/media", file).await.data(201);
        let id: MediaId = made["id"].as_str().expect("a text").parse().expect("an id");
        let name = ObjectName::new(Area::Upload, self.instance, id);
        let piece = Bytes::from(vec![7; PIECE]);
        let count = usize::try_from(size).expect("small") / PIECE;
        let pieces = stream::iter(std::iter::repeat_n(Ok::<_, Infallible>(piece), count));
        let put = self.bucket.put(&name, pieces, Length::Exactly(size)).await;
        put.expect("put");
        made["id"].clone()
    }
}

/// A host of files of as many bytes as the path says.
async fn host() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = vec![0; 4_096];
                let read = socket.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let size = request
                    .split(['/', ' '])
                    .nth(2)
                    .and_then(|size| size.parse().ok());
                let size: usize = size.unwrap_or(0);
                let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n");
                let _ = socket.write_all(head.as_bytes()).await;
                let piece = vec![7; PIECE];
                for _ in 0..size / PIECE {
                    if socket.write_all(&piece).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// A number of a process's memory, in bytes (proc(5)).
fn memory(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kibibytes.expect("a number") * 1_024
}

/// What a process's memory is at most, beyond what it is now, until `work` is done.
async fn added(process: u32, work: impl Future<Output = ()>) -> u64 {
    // From here on the peak is counted anew.
    let cleared = Path::new("/proc").join(process.to_string()).join("clear_refs");
    std::fs::write(cleared, "5").expect("ours");
    let before = memory(process, "VmRSS");
    work.await;
    memory(process, "VmHWM").saturating_sub(before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_of_100_megabytes_adds_less_than_8_mebibytes_to_a_daemon() {
    let world = World::start().await;
    let (process, host) = (world.daemon.id(), host().await);
    // What is needed once: connections to hosts, threads, and what the allocator keeps.
    world.send(json!({"url": format!("{host}/{MIB}")})).await;
    let small = world.upload(MIB).await;
    world.send(json!({"mediaId": small})).await;
    world.send(json!({"url": format!("{host}/{MIB}")})).await;

    let by_url = added(process, world.send(json!({"url": format!("{host}/{LARGE}")}))).await;
    let id = world.upload(LARGE).await;
    let by_id = added(process, world.send(json!({"mediaId": id}))).await;
    println!("by URL {by_url} bytes, by id {by_id} bytes");
    assert!(by_url < MOST, "by URL: {by_url} bytes");
    assert!(by_id < MOST, "by id: {by_id} bytes");
    world.daemon.stop().await;
}
