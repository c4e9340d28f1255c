//! The lanes whose jobs are in hand: which job is where, and in what order they are done.
//!
//! A lane's jobs are received together and in order. While any of them is held, no later job of the lane is received.
//! Each chat's jobs are done one after the other. The lane has one message on the wire at a time; a job that pauses
//! for a reason of its own chat leaves other chats their turn.
//!
//! A job is in one lane once. If its visibility time ends before it could be extended, this very process receives the
//! job again. It then goes on as it was, with the new receipt.

use std::collections::{HashMap, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use shared::domain::job::{self, SendJob};
use shared::domain::payload::{self, PayloadError};
use shared::queue::Received;
use shared::queue::consumer::{Consumer, Done, Held, Oldest};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info};

use super::agenda::Agenda;
use super::journey::Journey;
use super::pace;
use super::records::{self, Awaited, Together};
use super::send::Sender;
use super::wire::Wires;
use crate::deps::Deps;
use crate::instance::link::Links;
use crate::lease::Hold;
use crate::meter::{Counted, Hand};

/// How long a job that was left in the queue is remembered: longer than it may be hidden.
const MEMORY: Duration = Duration::from_hours(1);

/// A job in hand.
#[derive(Debug)]
pub struct Job {
    /// As it was received first.
    pub received: Received,
    /// What it asks for.
    pub decoded: Result<SendJob, PayloadError>,
    /// Its message's record, where that is read with others.
    pub look: Awaited,
    /// Jobs of the same chat are done in order.
    chat: String,
    _counted: Counted,
}

/// A job that is not in hand any more.
struct Ended {
    chat: String,
    /// How long it is left in the queue, if it is.
    left: Option<Duration>,
    /// How long it took.
    took: Duration,
}

/// A lane with jobs in hand.
#[derive(Debug)]
pub struct Lane {
    group: String,
    /// Its jobs, as the queue knows them.
    pub held: Held,
    /// Whose turn it is to be on the wire.
    pub turn: tokio::sync::Mutex<()>,
    /// Cancelled when all of its jobs go back to the queue.
    pub back: CancellationToken,
    arrivals: Mutex<Vec<Job>>,
    arrived: Notify,
}

/// The lanes of a shard.
#[derive(Debug)]
pub struct Lanes {
    deps: Arc<Deps>,
    consumer: Consumer,
    hold: Hold,
    links: Arc<Links>,
    wires: Arc<Wires>,
    agenda: Arc<Agenda>,
    tasks: TaskTracker,
    open: Mutex<HashMap<String, Arc<Lane>>>,
    /// What is known of jobs that were left in the queue, by the queue's ids.
    left: Mutex<HashMap<String, (Journey, Instant)>>,
}

impl Lanes {
    /// The lanes of a shard that is held, whose jobs `consumer` takes; they run in `tasks`.
    pub fn new(
        deps: Arc<Deps>,
        consumer: Consumer,
        hold: Hold,
        links: Arc<Links>,
        wires: Arc<Wires>,
        agenda: Arc<Agenda>,
        tasks: TaskTracker,
    ) -> Arc<Self> {
        let lanes = Arc::new(Self {
            deps,
            consumer,
            hold,
            links,
            wires,
            agenda,
            tasks,
            open: Mutex::default(),
            left: Mutex::default(),
        });
        let hand: Weak<Self> = Arc::downgrade(&lanes);
        lanes.deps.meter.hands.add(hand);
        lanes
    }

    /// Takes jobs that were received together, in their order. Records of those that begin at once are read together.
    pub fn take(self: &Arc<Self>, jobs: Vec<Received>) {
        let mut together = Together::default();
        // The lanes of which nothing was in hand, and the chats of which a job has come.
        let (mut idle, mut chats) = (HashSet::new(), HashSet::new());
        for received in jobs {
            let group = received.group.clone().unwrap_or_default();
            let mut open = self.open.lock().expect("no holder panics");
            let lane = open.entry(group.clone()).or_insert_with(|| {
                let lane = Arc::new(Lane {
                    group,
                    held: Held::new(self.consumer.terms()),
                    turn: tokio::sync::Mutex::new(()),
                    back: CancellationToken::new(),
                    arrivals: Mutex::default(),
                    arrived: Notify::new(),
                });
                self.tasks.spawn(self.clone().work_off(lane.clone()));
                lane
            });
            if lane.held.is_empty() {
                idle.insert(lane.group.clone());
            }
            if !lane.held.take(&received) {
                debug!(job.id = received.message_id, "a job in hand came again");
                continue;
            }
            let job = Job::new(received, self.deps.meter.jobs.count(1));
            let is_first = chats.insert((lane.group.clone(), job.chat.clone()));
            if is_first
                && idle.contains(&lane.group)
                && let Ok(send) = &job.decoded
            {
                together.ask(send, &job.look);
            }
            lane.arrivals.lock().expect("no holder panics").push(job);
            lane.arrived.notify_one();
        }
        together.read(&self.deps.messages, &self.tasks);
    }

    /// Works off a lane until none of its jobs is in hand.
    async fn work_off(self: Arc<Self>, lane: Arc<Lane>) {
        let _open = Open {
            lanes: &self,
            lane: &lane,
        };
        tokio::select! {
            () = self.in_order(&lane) => {}
            () = lane.held.keep(self.consumer.queue(), self.consumer.name()) => {}
            () = self.hand_back_in_time(&lane) => {}
            () = self.hold.fence.revoked() => {}
        }
    }

    async fn in_order(&self, lane: &Arc<Lane>) {
        let mut waiting: VecDeque<Job> = VecDeque::new();
        let mut busy: HashSet<String> = HashSet::new();
        let mut running = FuturesUnordered::new();
        loop {
            waiting.extend(lane.take_arrivals());
            for _ in 0..waiting.len() {
                let Some(job) = waiting.pop_front() else { break };
                if busy.insert(job.chat.clone()) {
                    running.push(self.run(lane, job));
                } else {
                    waiting.push_back(job);
                }
            }
            if running.is_empty() && self.close(lane) {
                return;
            }
            tokio::select! {
                Some(Ended { chat, left, took }) = running.next() => {
                    busy.remove(&chat);
                    let Some(pause) = left else {
                        self.read_ahead(waiting.iter().filter(|job| job.chat == chat), took);
                        continue;
                    };
                    // Later jobs of its chat go back with it, in order.
                    let (behind, others) = waiting.into_iter().partition(|job| job.chat == chat);
                    waiting = others;
                    for job in Vec::from_iter::<VecDeque<Job>>(behind) {
                        let past = self.recall(&job.received);
                        self.leave(lane, &job, past, pause).await;
                    }
                }
                () = lane.arrived.notified() => {}
            }
        }
    }

    /// Has records of a chat's next jobs read together, as many as are expected to begin soon. The last one took so long.
    fn read_ahead<'a>(&self, next: impl Iterator<Item = &'a Job>, took: Duration) {
        let mut together = Together::default();
        for job in next.take(records::expected(took)) {
            let Ok(send) = &job.decoded else { break };
            if job.look.is_asked() {
                break;
            }
            together.ask(send, &job.look);
            if !records::is_quick(send) {
                break;
            }
        }
        together.read(&self.deps.messages, &self.tasks);
    }

    /// Does one job.
    async fn run(&self, lane: &Lane, job: Job) -> Ended {
        let began = Instant::now();
        let wire = match &job.decoded {
            Ok(send) => self.wires.of(send.instance),
            Err(_) => Arc::default(),
        };
        let sender = Sender {
            deps: &self.deps,
            hold: &self.hold,
            links: &self.links,
            lane,
            wire: &wire,
            agenda: &self.agenda,
            tasks: &self.tasks,
        };
        let mut past = self.recall(&job.received);
        let doing = AssertUnwindSafe(sender.run(&job, &mut past)).catch_unwind().await;
        let done = doing.unwrap_or_else(|_| {
            // The panic hook has logged what it was. Nobody knows what came of the message: it waits, and
            // its time runs out if this goes on.
            error!(
                job.id = job.received.message_id,
                "doing a job ended in a panic: it is left for a while"
            );
            past = Journey::begun(true);
            Done::LeaveFor(pace::left(job.received.receive_count))
        });
        let left = match done {
            // Where it comes again, its message's state says that it is done.
            Done::Delete => {
                self.settle(lane, &job, done).await;
                None
            }
            Done::LeaveFor(pause) => {
                self.leave(lane, &job, past, pause).await;
                Some(pause)
            }
        };
        Ended {
            chat: job.chat,
            left,
            took: began.elapsed(),
        }
    }

    async fn leave(&self, lane: &Lane, job: &Job, past: Journey, pause: Duration) {
        self.remember(&job.received.message_id, past);
        self.settle(lane, job, Done::LeaveFor(pause)).await;
    }

    async fn settle(&self, lane: &Lane, job: &Job, done: Done) {
        if let Some(receipt) = lane.held.let_go(&job.received.message_id) {
            self.consumer.settle(&receipt, done).await;
        }
    }

    /// Gives a lane's jobs back before SQS ends their visibility, and goes on with them when they come again. They
    /// keep their order: a group's messages are received in order, and none while one of them is held.
    async fn hand_back_in_time(&self, lane: &Lane) {
        lane.held.ceiling().await;
        info!(shard = %self.hold.shard, "handing back the jobs of a lane that were held for long");
        lane.back.cancel();
        std::future::pending::<()>().await;
    }

    /// Closes a lane that has no job in hand; `false` where one came meanwhile.
    fn close(&self, lane: &Lane) -> bool {
        let mut open = self.open.lock().expect("no holder panics");
        let is_done = lane.arrivals.lock().expect("no holder panics").is_empty();
        if is_done {
            open.remove(&lane.group);
        }
        is_done
    }

    /// What this process knows of a job's journey. A job that another process has received before may have gone out.
    fn recall(&self, received: &Received) -> Journey {
        let mut left = self.left.lock().expect("no holder panics");
        match left.remove(&received.message_id) {
            Some((journey, _)) => journey,
            None => Journey::begun(received.receive_count > 1),
        }
    }

    fn remember(&self, id: &str, journey: Journey) {
        let now = Instant::now();
        let mut left = self.left.lock().expect("no holder panics");
        left.retain(|_, (_, since)| now - *since < MEMORY);
        left.insert(id.to_owned(), (journey, now));
    }
}

impl Hand for Lanes {
    fn oldest(&self) -> Oldest {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.values().fold(Oldest::default(), |oldest, lane| {
            oldest.or_older(lane.held.oldest())
        })
    }
}

/// A lane that is being worked off. When that ends, for whatever reason, the lane is closed: its jobs come again, and
/// must not be taken for jobs in hand.
struct Open<'a> {
    lanes: &'a Lanes,
    lane: &'a Arc<Lane>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut open = self.lanes.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Another lane may have been opened in its place.
        if open
            .get(&self.lane.group)
            .is_some_and(|lane| Arc::ptr_eq(lane, self.lane))
        {
            open.remove(&self.lane.group);
        }
    }
}

impl Lane {
    fn take_arrivals(&self) -> Vec<Job> {
        std::mem::take(&mut *self.arrivals.lock().expect("no holder panics"))
    }
}

impl Job {
    fn new(received: Received, counted: Counted) -> Self {
        let decoded = payload::decode::<job::Job>(&received.body).map(|job::Job::Send(send)| send);
        let chat = match &decoded {
            Ok(send) => Some(send.chat().to_jid()),
            // It keeps its place in its chat.
            Err(PayloadError::Newer(_)) => job::chat_of(&received.body).map(|chat| chat.to_jid()),
            Err(PayloadError::Malformed(_)) => None,
        };
        let chat = chat.unwrap_or_else(|| received.message_id.clone());
        Self {
            received,
            decoded,
            look: Awaited::default(),
            chat,
            _counted: counted,
        }
    }
}
