//! The durable queue of the local stack: SQS's semantics in one `SQLite` file.
//!
//! One thread owns the connection (`worker`). Callers reach it through a bounded channel and wait for its answer,
//! which comes after the commit is on disk. Long polls wait on the callers' side, so an idle queue costs nothing.
//! Visibility, delay, retention and deduplication count by the injected wall clock and go on while the process is
//! down.

mod lanes;
mod schema;
mod store;
mod waiters;
mod worker;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use self::store::{Millis, Taken};
use self::waiters::Waiters;
use self::worker::Command;
use super::message::check_visibility;
use super::{
    Depth, LOOKED_AT, OutgoingMessage, Queue, QueueAttributes, QueueError, QueueName, Receipt,
    ReceiveOptions, Received, SendOutcome,
};
use crate::clock::Clock;

/// Commands that may wait for the worker. When the channel is full, callers wait for their place in it.
const WAITING: usize = 1_024;

/// Shortest sleep until a message comes back, so that a clock that stands still does not make a poll spin.
const SHORTEST_SLEEP: Duration = Duration::from_millis(5);

/// Queues in one `SQLite` file, or in memory.
///
/// When it is dropped the worker finishes what it accepted and ends; [`EmbeddedQueue::close`] also waits for that.
#[derive(Debug)]
pub struct EmbeddedQueue {
    commands: Mutex<Option<mpsc::Sender<Command>>>,
    worker: Mutex<Option<JoinHandle<()>>>,
    waiters: Arc<Waiters>,
    clock: Arc<dyn Clock>,
}

impl EmbeddedQueue {
    /// Opens the file, creating it where it is missing; `None` keeps all in memory, and it is gone with the value.
    ///
    /// Fails with [`QueueError::Unavailable`] when the file cannot be opened, is of a newer version, or is open in
    /// another process. Blocks for a moment, in the last case up to five seconds: meant for the start of a process.
    pub fn open(path: Option<&Path>, clock: Arc<dyn Clock>) -> Result<Self, QueueError> {
        Self::open_looking_at(path, clock, LOOKED_AT)
    }

    /// The same with another number of messages in place of [`LOOKED_AT`], for tests.
    pub fn open_looking_at(
        path: Option<&Path>,
        clock: Arc<dyn Clock>,
        looked_at: u32,
    ) -> Result<Self, QueueError> {
        let lock = path
            .map(schema::lock)
            .transpose()
            .map_err(QueueError::unavailable)?;
        let db = schema::open(path)?;
        let (commands, inbox) = mpsc::channel(WAITING);
        let waiters = Arc::<Waiters>::default();
        let worker = std::thread::Builder::new()
            .name("embedded-queue".to_owned())
            .spawn({
                let (clock, waiters) = (Arc::clone(&clock), Arc::clone(&waiters));
                move || {
                    worker::run(db, inbox, &clock, &waiters, looked_at);
                    // The file is closed, and another's now.
                    drop(lock);
                }
            })
            .map_err(QueueError::unavailable)?;
        Ok(Self {
            commands: Mutex::new(Some(commands)),
            worker: Mutex::new(Some(worker)),
            waiters,
            clock,
        })
    }

    /// The names of the queues in a file that is there, in the order of the alphabet; none where it was just made. Nothing in it changes.
    ///
    /// Fails with [`QueueError::Unavailable`] when the file cannot be read. Meant for a file that this process has not opened.
    pub fn names_in(path: &Path) -> Result<Vec<String>, QueueError> {
        schema::names(path)
    }

    /// Finishes the accepted calls, closes the file and ends the worker. Later calls answer
    /// [`QueueError::Unavailable`], and so do long polls that wait. A second close does nothing.
    pub async fn close(&self) {
        drop(
            self.commands
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        self.waiters.wake_all();
        let worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(worker) = worker
            && !matches!(tokio::task::spawn_blocking(|| worker.join()).await, Ok(Ok(())))
        {
            tracing::error!("the embedded queue's thread panicked");
        }
    }

    async fn call<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, QueueError>>) -> Command,
    ) -> Result<T, QueueError> {
        let closed = || QueueError::unavailable("the embedded queue is closed");
        let commands = self
            .commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (reply, answer) = oneshot::channel();
        let commands = commands.ok_or_else(closed)?;
        commands.send(command(reply)).await.map_err(|_| closed())?;
        // A sender that is kept while waiting would keep the worker from ending.
        drop(commands);
        answer.await.map_err(|_| closed())?
    }

    /// When to look again, if nothing wakes the poll before.
    fn look_again(&self, next_visible: Option<Millis>, deadline: Instant) -> Instant {
        let Some(at) = next_visible else { return deadline };
        let left = u64::try_from(at - self.clock.now().timestamp_millis()).unwrap_or(0);
        deadline.min(Instant::now() + Duration::from_millis(left).max(SHORTEST_SLEEP))
    }
}

#[async_trait]
impl Queue for EmbeddedQueue {
    async fn send(&self, queue: &QueueName, message: OutgoingMessage) -> Result<SendOutcome, QueueError> {
        message.check(queue)?;
        self.call(|reply| Command::Send(queue.clone(), message, reply))
            .await
    }

    async fn receive(&self, queue: &QueueName, options: ReceiveOptions) -> Result<Vec<Received>, QueueError> {
        options.check()?;
        let bell = self.waiters.of(queue);
        let deadline = Instant::now() + options.wait;
        loop {
            // Listening begins before looking, so that no change falls in between.
            let mut rung = std::pin::pin!(bell.notified());
            rung.as_mut().enable();
            let taken: Taken = self
                .call(|reply| Command::Receive(queue.clone(), options, reply))
                .await?;
            if !taken.messages.is_empty() || Instant::now() >= deadline {
                return Ok(taken.messages);
            }
            tokio::select! {
                () = rung => {}
                () = sleep_until(self.look_again(taken.next_visible, deadline)) => {}
            }
        }
    }

    async fn extend(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(), QueueError> {
        check_visibility(visibility)?;
        self.call(|reply| Command::Extend(queue.clone(), receipt.clone(), visibility, reply))
            .await
    }

    async fn delete(&self, queue: &QueueName, receipt: &Receipt) -> Result<(), QueueError> {
        self.call(|reply| Command::Delete(queue.clone(), receipt.clone(), reply))
            .await
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError> {
        self.call(|reply| Command::Depth(queue.clone(), reply)).await
    }

    async fn ensure(&self, queue: &QueueName, attributes: QueueAttributes) -> Result<(), QueueError> {
        attributes.check(queue)?;
        self.call(|reply| Command::Ensure(queue.clone(), attributes, reply))
            .await
    }
}
