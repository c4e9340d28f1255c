//! A queue that can be made to fail.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{
    Depth, OutgoingMessage, Queue as _, QueueError, QueueName, Receipt, ReceiveOptions, Received, SendOutcome,
};
use testbed::queues::Passing;
use tokio::sync::oneshot;

/// An embedded queue whose service is out of reach while [`FlakyQueue::fail`] says so.
#[derive(Debug)]
pub struct FlakyQueue {
    inner: EmbeddedQueue,
    fails: AtomicBool,
    hangs: AtomicBool,
    sends: Mutex<VecDeque<Send>>,
    every_send: Mutex<Option<Send>>,
    cut_off: Mutex<Option<QueueName>>,
    hold: Mutex<Option<oneshot::Sender<HeldSend>>>,
}

/// A send that waits for the test. It is passed on when this is dropped.
#[derive(Debug)]
pub struct HeldSend(oneshot::Sender<Option<Send>>);

impl HeldSend {
    /// Gives it this fate; passes it on without one.
    pub fn release(self, fate: Option<Send>) {
        // Its sender may have given up.
        let _ = self.0.send(fate);
    }
}

/// What becomes of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Send {
    /// It does not reach the queue, and nobody says so.
    Away,
    /// It takes effect, and its answer is lost.
    Lost,
    /// It is told that there is no such queue.
    NoQueue,
}

impl FlakyQueue {
    pub fn over(inner: EmbeddedQueue) -> Self {
        Self {
            inner,
            fails: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            sends: Mutex::default(),
            every_send: Mutex::default(),
            cut_off: Mutex::default(),
            hold: Mutex::default(),
        }
    }

    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// No send ends from here on.
    pub fn hang(&self) {
        self.hangs.store(true, Ordering::SeqCst);
    }

    /// What becomes of the next sends.
    pub fn next_sends<const N: usize>(&self, sends: [Send; N]) {
        *self.sends.lock().expect("no holder panics") = sends.into();
    }

    /// What becomes of every send from here on.
    pub fn every_send(&self, send: Option<Send>) {
        *self.every_send.lock().expect("no holder panics") = send;
    }

    /// No send to this queue reaches it from here on, and nobody says so.
    pub fn cut_off(&self, queue: Option<QueueName>) {
        *self.cut_off.lock().expect("no holder panics") = queue;
    }

    /// Holds the next send, which comes with the answer.
    pub fn hold_send(&self) -> oneshot::Receiver<HeldSend> {
        let (sender, receiver) = oneshot::channel();
        *self.hold.lock().expect("no holder panics") = Some(sender);
        receiver
    }

    fn reach(&self) -> Result<&EmbeddedQueue, QueueError> {
        if self.fails.load(Ordering::SeqCst) {
            let source = "out of reach".into();
            return Err(QueueError::Unavailable { source });
        }
        Ok(&self.inner)
    }
}

#[async_trait]
impl Passing for FlakyQueue {
    fn inner(&self) -> &EmbeddedQueue {
        &self.inner
    }

    async fn send(&self, queue: &QueueName, message: OutgoingMessage) -> Result<SendOutcome, QueueError> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let held = self.hold.lock().expect("no holder panics").take();
        let mut next = None;
        if let Some(held) = held {
            let (release, released) = oneshot::channel();
            // A test that no longer waits for the send lets it pass: `released` ends at once.
            let _ = held.send(HeldSend(release));
            next = released.await.ok().flatten();
        }
        if next.is_none() {
            next = self.sends.lock().expect("no holder panics").pop_front();
        }
        if next.is_none() && self.cut_off.lock().expect("no holder panics").as_ref() == Some(queue) {
            next = Some(Send::Away);
        }
        let fate = next.or(*self.every_send.lock().expect("no holder panics"));
        match fate {
            None => return self.reach()?.send(queue, message).await,
            Some(Send::NoQueue) => return Err(QueueError::NoSuchQueue(queue.clone())),
            Some(Send::Away) => {}
            Some(Send::Lost) => {
                self.reach()?.send(queue, message).await?;
            }
        }
        Err(QueueError::Timeout { operation: "send" })
    }

    async fn receive(&self, queue: &QueueName, options: ReceiveOptions) -> Result<Vec<Received>, QueueError> {
        self.reach()?.receive(queue, options).await
    }

    async fn extend(
        &self,
        queue: &QueueName,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<(), QueueError> {
        self.reach()?.extend(queue, receipt, visibility).await
    }

    async fn delete(&self, queue: &QueueName, receipt: &Receipt) -> Result<(), QueueError> {
        self.reach()?.delete(queue, receipt).await
    }

    async fn depth(&self, queue: &QueueName) -> Result<Depth, QueueError> {
        self.reach()?.depth(queue).await
    }
}
