//! A local stack behind lines of JSON, so that a suite in another language can see what an instance is told.
//!
//! Standard output has one object a line: `{"event": "up", "api": URL}`, then `{"event": "listening", "instance": …}` for each
//! instance that a line of standard input names, and from then on `{"event": "told", "type": …, "data": …}` for each of its
//! events, opened. The stack keeps nothing, and ends with its standard input.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use daemon::whatsapp::NETWORK;
use localstack::{Between, Stack};
use serde_json::{Value, json};
use shared::domain::event::Event;
use shared::domain::payload;
use shared::queue::{
    Depth, OutgoingMessage, Queue, QueueAttributes, QueueError, QueueName, QueueNames, Receipt,
    ReceiveOptions, Received, SendOutcome,
};
use shared::seal::{FileKeyWrapper, Sealer};
use shared::sealed;
use testbed::table::table;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::inside::listen;

/// How the stack is started.
#[derive(Debug, clap::Parser)]
pub struct Cli {
    /// The sandbox's WebSocket URL.
    #[arg(long)]
    url: String,
    /// A PEM file with the root of its media host's certificate.
    #[arg(long)]
    media_root: Option<PathBuf>,
}

/// The stores of a stack, as it reaches them.
#[derive(Debug, Default)]
struct Stores {
    table: OnceLock<String>,
    queue: OnceLock<Arc<dyn Queue>>,
}

#[async_trait]
impl Between for Stores {
    async fn table(&self, endpoint: &str) -> Option<String> {
        self.table.get_or_init(|| endpoint.to_owned());
        None
    }

    async fn queue(&self, queue: Arc<dyn Queue>) -> Arc<dyn Queue> {
        let queue = self.queue.get_or_init(|| queue).clone();
        Arc::new(WithoutEvents { queue })
    }
}

/// The stack's own queues, but for the events: they are told here, and the stack's webhooks would take them away.
#[derive(Debug)]
struct WithoutEvents {
    queue: Arc<dyn Queue>,
}

#[async_trait]
impl Queue for WithoutEvents {
    async fn send(&self, queue: &QueueName, message: OutgoingMessage) -> Result<SendOutcome, QueueError> {
        self.queue.send(queue, message).await
    }

    async fn receive(&self, queue: &QueueName, options: ReceiveOptions) -> Result<Vec<Received>, QueueError> {
        if *queue == events()? {
            tokio::time::sleep(options.wait).await;
            return Ok(Vec::new());
        }
        self.queue.receive(queue, options).await
    }

    async fn extend(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(), QueueError> {
        self.queue.extend(queue, receipt, visibility).await
    }

    async fn delete(&self, queue: &QueueName, receipt: &Receipt) -> Result<(), QueueError> {
        self.queue.delete(queue, receipt).await
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError> {
        self.queue.depth(queue).await
    }

    async fn ensure(&self, queue: &QueueName, attributes: QueueAttributes) -> Result<(), QueueError> {
        self.queue.ensure(queue, attributes).await
    }
}

fn events() -> Result<QueueName, QueueError> {
    Ok(QueueNames::new(testbed::queues::PREFIX, NETWORK.as_str())?.events())
}

/// Runs the stack until standard input ends.
///
/// # Errors
/// A stack that cannot be started, a line that names no instance, an event that cannot be read.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let stores = Stores::default();
    let local = localstack::Cli {
        data_dir: data.path().to_owned(),
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 0,
        sandbox_port: 0,
        sandbox_url: Some(cli.url),
        sandbox_ca: cli.media_root,
        private_addresses: false,
        ephemeral: false,
        command: None,
    };
    let stack = Stack::start_between(&local, &stores).await?;
    let table = table(stores.table.get().context("the stack has a table")?);
    let queue = stores.queue.get().context("the stack has queues")?.clone();
    let wrapper = FileKeyWrapper::open(&data.path().join("wrapping.key"))?;
    let sealer = Sealer::new(table.clone(), Arc::new(wrapper));
    print(&json!({"event": "up", "api": stack.api_url()}));

    let asked = async {
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        while let Some(line) = lines.next_line().await.context("standard input breaks off")? {
            let instance = line.trim().parse().context("this line names no instance")?;
            listen(&table, queue.as_ref(), instance).await;
            print(&json!({"event": "listening", "instance": instance}));
        }
        anyhow::Ok(())
    };
    tokio::select! {
        ended = asked => ended?,
        ended = tell(queue.as_ref(), &sealer) => ended?,
    }
    stack.shutdown().await;
    Ok(())
}

/// Takes the events out of their queue, and tells them.
async fn tell(queue: &dyn Queue, sealer: &Sealer) -> anyhow::Result<()> {
    let name = events()?;
    let options = ReceiveOptions {
        max: 10,
        wait: Duration::from_secs(1),
        visibility: Duration::from_mins(1),
    };
    loop {
        for message in queue.receive(&name, options).await? {
            let event: Event = payload::decode(&message.body)?;
            let data: Value = sealed::open(sealer, event.instance, &event.id, &event.data).await?;
            print(&json!({"event": "told", "type": event.kind, "data": data}));
            queue.delete(&name, &message.receipt).await?;
        }
    }
}

/// Writes a line of standard output. Whoever started the stack may have stopped reading.
fn print(line: &Value) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
