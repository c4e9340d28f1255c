//! The line before the events queue: what many tasks announce at once goes in few requests, and nobody waits for company.
//!
//! A full batch goes at once. One that is not full goes where none is on its way, or when the first of it has waited for
//! `PATIENCE`: so a lone event is not held up, and under load a request carries ten. Order holds within a group: while an
//! event of a group is on its way none behind it follows, and where it fails those that wait behind it fail with it, to be
//! told again after it. Only where the queue takes a later event of one batch and refuses an earlier one, the two change
//! places.
//!
//! Whoever announces waits for the answer, so what waits is bounded by who waits, and by `WAITING`; beyond that
//! announcing waits for its place.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use shared::queue::{MAX_BATCH, MAX_BODY_BYTES, OutgoingMessage, Queue, QueueError, QueueName};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::meter::{Counted, Events};

/// How many events wait in the line, and as many on their way to it.
const WAITING: usize = 1_024;

/// How many requests are on their way at once.
const AT_ONCE: usize = 8;

/// How long an event waits for company while other requests are on their way.
const PATIENCE: Duration = Duration::from_millis(25);

/// Why an event is not in the queue.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The queue did not take it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The queue did not take one before it in its group: after that one is told again it is this one's turn.
    #[error("an event before it in its group could not be queued")]
    Behind,
    /// The process ends.
    #[error("events are not taken any more")]
    Ended,
}

/// An event's answer, when there is one.
#[derive(Debug)]
pub struct Queued(oneshot::Receiver<Result<(), LineError>>);

impl Queued {
    /// Waits until the event is in the queue.
    pub async fn stored(self) -> Result<(), LineError> {
        self.0.await.unwrap_or(Err(LineError::Ended))
    }
}

/// The line before a queue.
#[derive(Debug, Clone)]
pub struct Line {
    entries: mpsc::Sender<Entry>,
    events: Events,
}

#[derive(Debug)]
struct Entry {
    message: OutgoingMessage,
    since: Instant,
    asker: Asker,
}

impl Entry {
    fn group(&self) -> &str {
        &self.asker.group
    }
}

/// Who waits for an event's answer.
#[derive(Debug)]
struct Asker {
    group: String,
    reply: oneshot::Sender<Result<(), LineError>>,
    _waits: Counted,
}

impl Asker {
    fn answer(self, answer: Result<(), LineError>) {
        // Whoever has gone does not want it.
        let _ = self.reply.send(answer);
    }
}

/// What came of a request.
type Sent = (Vec<Asker>, Vec<Result<(), QueueError>>);

impl Line {
    /// A line before this queue, and the work that moves it: it ends when the line is gone and all that stood in it is
    /// answered.
    pub fn before(queue: Arc<dyn Queue>, name: QueueName) -> (Self, impl Future<Output = ()> + Send) {
        let (entries, arrivals) = mpsc::channel(WAITING);
        let events = Events::default();
        let worker = Worker {
            queue,
            name,
            arrivals,
            is_open: true,
            waiting: VecDeque::new(),
            busy: HashSet::new(),
            on_their_way: FuturesUnordered::new(),
            events: events.clone(),
        };
        (Self { entries, events }, worker.run())
    }

    /// What has come of the events that stood in it.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// Puts an event at the end of the line. Of two that come here one after the other the first is the first in the
    /// queue, within a group.
    pub async fn put(&self, message: OutgoingMessage) -> Result<Queued, LineError> {
        if message.body.len() > MAX_BODY_BYTES {
            let bytes = message.body.len();
            self.events.refused.add(1);
            return Err(QueueError::TooLarge { bytes }.into());
        }
        let (reply, answer) = oneshot::channel();
        let group = message.group.clone().unwrap_or_default();
        let entry = Entry {
            message,
            since: Instant::now(),
            asker: Asker {
                group,
                reply,
                _waits: self.events.waiting.count(1),
            },
        };
        self.entries.send(entry).await.map_err(|_| LineError::Ended)?;
        Ok(Queued(answer))
    }
}

struct Worker {
    queue: Arc<dyn Queue>,
    name: QueueName,
    arrivals: mpsc::Receiver<Entry>,
    is_open: bool,
    waiting: VecDeque<Entry>,
    /// The groups that have an event on its way.
    busy: HashSet<String>,
    on_their_way: FuturesUnordered<BoxFuture<'static, Sent>>,
    events: Events,
}

impl Worker {
    async fn run(mut self) {
        let mut arrived = Vec::new();
        while self.is_open || !self.waiting.is_empty() || !self.on_their_way.is_empty() {
            let patience = self.dispatch();
            let room = WAITING.saturating_sub(self.waiting.len());
            tokio::select! {
                Some((askers, results)) = self.on_their_way.next() => self.settle(askers, results),
                came = self.arrivals.recv_many(&mut arrived, room), if self.is_open && room > 0 => {
                    self.is_open = came > 0;
                    self.waiting.extend(arrived.drain(..));
                }
                () = until(patience) => {}
            }
        }
    }

    /// Sends what may go. Answers when something of the rest may, if nothing happens before.
    fn dispatch(&mut self) -> Option<Instant> {
        while self.on_their_way.len() < AT_ONCE {
            let (chosen, is_full) = self.next_batch();
            let first = *chosen.first()?;
            let patience = self.waiting.get(first)?.since + PATIENCE;
            let may_go = is_full || self.on_their_way.is_empty() || patience <= Instant::now();
            if !may_go {
                return Some(patience);
            }
            self.send(&chosen);
        }
        None
    }

    /// The places of the events that may go together, and whether there is no room beside them.
    fn next_batch(&self) -> (Vec<usize>, bool) {
        let (mut chosen, mut bytes) = (Vec::new(), 0);
        for (place, entry) in self.waiting.iter().enumerate() {
            if self.busy.contains(entry.group()) {
                continue;
            }
            let size = entry.message.body.len();
            if chosen.len() == MAX_BATCH || bytes + size > MAX_BODY_BYTES {
                return (chosen, true);
            }
            bytes += size;
            chosen.push(place);
        }
        let is_full = chosen.len() == MAX_BATCH;
        (chosen, is_full)
    }

    fn send(&mut self, chosen: &[usize]) {
        let (mut messages, mut askers) = (Vec::new(), Vec::new());
        for (place, entry) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            if chosen.binary_search(&place).is_ok() {
                self.busy.insert(entry.group().to_owned());
                messages.push(entry.message);
                askers.push(entry.asker);
            } else {
                self.waiting.push_back(entry);
            }
        }
        let (queue, name) = (Arc::clone(&self.queue), self.name.clone());
        self.on_their_way.push(Box::pin(async move {
            let sent = queue.send_batch(&name, messages).await;
            (askers, sent.into_iter().map(|sent| sent.map(drop)).collect())
        }));
    }

    fn settle(&mut self, askers: Vec<Asker>, results: Vec<Result<(), QueueError>>) {
        let mut results = results.into_iter();
        for asker in askers {
            self.busy.remove(&asker.group);
            // A queue answers for each; one that does not has not said that it took it.
            let result = results.next().unwrap_or(Err(QueueError::Timeout {
                operation: "SendMessageBatch",
            }));
            match &result {
                Ok(()) => self.events.queued.add(1),
                Err(error) if error.nature().is_permanent() => self.events.refused.add(1),
                Err(_) => {
                    self.events.failed.add(1);
                    self.fail_behind(&asker.group);
                }
            }
            asker.answer(result.map_err(LineError::Queue));
        }
    }

    fn fail_behind(&mut self, group: &str) {
        let waiting = std::mem::take(&mut self.waiting);
        let (behind, others): (VecDeque<_>, VecDeque<_>) =
            waiting.into_iter().partition(|entry| entry.group() == group);
        self.waiting = others;
        self.events.failed.add(behind.len());
        for entry in behind {
            entry.asker.answer(Err(LineError::Behind));
        }
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
