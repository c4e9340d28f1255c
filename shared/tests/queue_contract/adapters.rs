//! The adapters under test, and what the cases need of them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use shared::clock::SystemClock;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::sqs::SqsQueue;
use shared::queue::{OutgoingMessage, Queue, QueueAttributes, QueueName, ReceiveOptions, Received};
use testbed::sqs::SqsStandIn;
use testbed::wait::until;

/// An adapter with its service behind it.
#[async_trait]
pub trait Adapter: Send + Sync {
    fn queue(&self) -> Arc<dyn Queue>;

    /// Takes the process down without a farewell, as far as the adapter can, and starts it again.
    async fn crash(&mut self);
}

pub struct Embedded {
    queue: Arc<EmbeddedQueue>,
    folder: tempfile::TempDir,
}

impl Embedded {
    #[expect(clippy::unused_async, reason = "the adapters are started alike")]
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        Self {
            queue: open(&folder),
            folder,
        }
    }
}

fn open(folder: &tempfile::TempDir) -> Arc<EmbeddedQueue> {
    let path = folder.path().join("queue.db");
    Arc::new(EmbeddedQueue::open(Some(&path), Arc::new(SystemClock)).expect("the file opens"))
}

#[async_trait]
impl Adapter for Embedded {
    fn queue(&self) -> Arc<dyn Queue> {
        self.queue.clone()
    }

    /// What a killed process leaves behind is the files as they are: a copy of them is opened, and the old
    /// process's goodbye (it folds the log into the database) goes to the originals.
    async fn crash(&mut self) {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        for entry in std::fs::read_dir(self.folder.path()).expect("the folder is there") {
            let entry = entry.expect("its entries can be read");
            std::fs::copy(entry.path(), folder.path().join(entry.file_name())).expect("they can be copied");
        }
        self.queue = open(&folder);
        self.folder = folder;
    }
}

/// The SQS adapter over SQS's protocol on top of the embedded queue.
pub struct SqsOverEmbedded {
    behind: Embedded,
    stand_in: SqsStandIn,
    queue: Arc<SqsQueue>,
}

impl SqsOverEmbedded {
    pub async fn start() -> Self {
        Self::over(Embedded::start().await).await
    }

    async fn over(behind: Embedded) -> Self {
        let stand_in = SqsStandIn::over(behind.queue()).await;
        let queue = Arc::new(SqsQueue::new(&client(stand_in.endpoint())));
        Self {
            behind,
            stand_in,
            queue,
        }
    }
}

#[async_trait]
impl Adapter for SqsOverEmbedded {
    fn queue(&self) -> Arc<dyn Queue> {
        self.queue.clone()
    }

    async fn crash(&mut self) {
        self.behind.crash().await;
        self.stand_in = SqsStandIn::over(self.behind.queue()).await;
        self.queue = Arc::new(SqsQueue::new(&client(self.stand_in.endpoint())));
    }
}

pub struct Sqs(Arc<SqsQueue>);

impl Sqs {
    pub fn start() -> Self {
        Self(Arc::new(SqsQueue::new(&client(&endpoint()))))
    }
}

#[async_trait]
impl Adapter for Sqs {
    fn queue(&self) -> Arc<dyn Queue> {
        self.0.clone()
    }

    /// The service lives on; what dies is the consumer with its client and its receipts.
    async fn crash(&mut self) {
        self.0 = Arc::new(SqsQueue::new(&client(&endpoint())));
    }
}

#[expect(clippy::disallowed_methods, reason = "the suite's one setting")]
fn endpoint() -> String {
    std::env::var("WAXWING_SQS_ENDPOINT").expect("WAXWING_SQS_ENDPOINT names an SQS endpoint")
}

pub fn client(endpoint: &str) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "static"))
        .endpoint_url(endpoint);
    Client::from_conf(config.build())
}

/// A fresh FIFO queue, with a name that no other test uses.
pub async fn fifo(queue: &dyn Queue) -> QueueName {
    let name = QueueName::new(format!("{}.fifo", unique())).expect("a queue name");
    queue
        .ensure(&name, attributes(None))
        .await
        .expect("the queue can be created");
    name
}

/// A fresh standard queue.
pub async fn standard(queue: &dyn Queue) -> QueueName {
    let name = QueueName::new(unique()).expect("a queue name");
    queue
        .ensure(&name, attributes(None))
        .await
        .expect("the queue can be created");
    name
}

pub fn unique() -> String {
    format!("contract-{:032x}", rand::random::<u128>())
}

pub fn attributes(dead_letter: Option<(QueueName, u32)>) -> QueueAttributes {
    QueueAttributes {
        visibility: Duration::from_secs(30),
        retention: Duration::from_hours(1),
        dead_letter,
    }
}

pub async fn send(queue: &dyn Queue, name: &QueueName, group: &str, body: &str) {
    let message = if name.is_fifo() {
        OutgoingMessage::fifo(body, group, unique())
    } else {
        OutgoingMessage::standard(body)
    };
    queue.send(name, message).await.expect("the message is accepted");
}

/// Takes what is there, without waiting, for longer than any test runs.
pub async fn take(queue: &dyn Queue, name: &QueueName, max: u8) -> Vec<Received> {
    let options = ReceiveOptions {
        max,
        wait: Duration::ZERO,
        visibility: Duration::from_mins(2),
    };
    queue.receive(name, options).await.expect("a receive is answered")
}

/// Waits for one message, and holds it for `visibility`.
pub async fn wait_for_one(queue: &dyn Queue, name: &QueueName, visibility: Duration) -> Received {
    let options = ReceiveOptions {
        max: 1,
        wait: Duration::from_secs(20),
        visibility,
    };
    until("a message", async || {
        let received = queue.receive(name, options).await;
        received.expect("a receive is answered").pop()
    })
    .await
}

pub fn bodies(messages: &[Received]) -> Vec<&str> {
    messages.iter().map(|message| message.body.as_str()).collect()
}
