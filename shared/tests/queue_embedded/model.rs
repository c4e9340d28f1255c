//! The embedded queue against a model: a list in memory, read from its start for every question.

use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;
use shared::clock::SteppedClock;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{OutgoingMessage, Queue, QueueError, QueueName, Receipt, ReceiveOptions};

use super::{copy_of, create_with, open_looking_at, stepped_clock};

const MAX_RECEIVES: u32 = 3;
const GROUPS: u8 = 3;
/// Few, so that runs get there.
const LOOKED_AT: u32 = 5;

/// One step of a run. Receipts are named by the order in which they were given out.
#[derive(Debug, Clone)]
enum Step {
    Send {
        group: u8,
        dedup_id: u8,
    },
    Receive {
        max: u8,
        seconds: u64,
    },
    Extend {
        receipt: prop::sample::Index,
        seconds: u64,
    },
    Delete {
        receipt: prop::sample::Index,
    },
    Wait {
        seconds: i64,
    },
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..GROUPS, 0..12_u8).prop_map(|(group, dedup_id)| Step::Send { group, dedup_id }),
        5 => (1..=4_u8, 1..30_u64).prop_map(|(max, seconds)| Step::Receive { max, seconds }),
        2 => (any::<prop::sample::Index>(), 0..30_u64)
            .prop_map(|(receipt, seconds)| Step::Extend { receipt, seconds }),
        3 => any::<prop::sample::Index>().prop_map(|receipt| Step::Delete { receipt }),
        3 => prop_oneof![4 => 1..20_i64, 1 => 200..400_i64].prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Kill),
    ]
}

#[derive(Debug, Clone)]
struct Message {
    body: String,
    group: u8,
    hidden_until: i64,
    receives: u32,
    /// The number of its latest receipt.
    receipt: Option<usize>,
}

#[derive(Debug, Default)]
struct Model {
    now: i64,
    messages: Vec<Message>,
    dead: Vec<Message>,
    sent: Vec<(u8, u8, i64)>,
    receipts: usize,
}

impl Model {
    /// Whether the message was new.
    fn send(&mut self, group: u8, dedup_id: u8, body: String) -> bool {
        let now = self.now;
        self.sent.retain(|(_, _, at)| at + 300 > now);
        if self.sent.iter().any(|(g, d, _)| (*g, *d) == (group, dedup_id)) {
            return false;
        }
        self.sent.push((group, dedup_id, now));
        self.messages.push(Message {
            body,
            group,
            hidden_until: now,
            receives: 0,
            receipt: None,
        });
        true
    }

    /// The bodies and receive counts of what is handed out.
    fn receive(&mut self, max: usize, seconds: i64) -> Vec<(String, u32)> {
        let now = self.now;
        let mut taken = Vec::new();
        loop {
            let blocked = |group| {
                self.messages
                    .iter()
                    .any(|m| m.group == group && m.hidden_until > now)
            };
            let mut free: Vec<u8> = Vec::new();
            for message in self.messages.iter().take(LOOKED_AT as usize) {
                if !free.contains(&message.group) && !blocked(message.group) {
                    free.push(message.group);
                }
            }
            let room = max - taken.len();
            let picked: Vec<usize> = free
                .iter()
                .flat_map(|group| (0..self.messages.len()).filter(|at| self.messages[*at].group == *group))
                .take(room)
                .collect();
            let mut buried = Vec::new();
            for at in picked {
                let message = &mut self.messages[at];
                if message.receives >= MAX_RECEIVES {
                    buried.push(at);
                    continue;
                }
                message.receives += 1;
                message.hidden_until = now + seconds;
                message.receipt = Some(self.receipts);
                self.receipts += 1;
                taken.push((message.body.clone(), message.receives));
            }
            if buried.is_empty() {
                return taken;
            }
            for at in &buried {
                self.dead.push(self.messages[*at].clone());
            }
            let mut at = 0;
            self.messages.retain(|_| {
                at += 1;
                !buried.contains(&(at - 1))
            });
        }
    }

    /// The message of a receipt, as long as its time is not over.
    fn held(&mut self, receipt: usize) -> Option<&mut Message> {
        let now = self.now;
        self.messages
            .iter_mut()
            .find(|message| message.receipt == Some(receipt) && message.hidden_until > now)
    }
}

/// The queue and its model, side by side.
struct Run {
    folder: tempfile::TempDir,
    clock: SteppedClock,
    queue: EmbeddedQueue,
    name: QueueName,
    dead: QueueName,
    model: Model,
    receipts: Vec<Receipt>,
    sent: usize,
}

impl Run {
    async fn start() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), stepped_clock());
        let queue = open_looking_at(folder.path(), &clock, LOOKED_AT);
        // Longer than any run: the model keeps messages for ever.
        let keep = Duration::from_hours(14 * 24);
        let dead = create_with(&queue, "dead.fifo", keep, None).await;
        let name = create_with(&queue, "q.fifo", keep, Some((dead.clone(), MAX_RECEIVES))).await;
        Self {
            folder,
            clock,
            queue,
            name,
            dead,
            model: Model::default(),
            receipts: Vec::new(),
            sent: 0,
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Send { group, dedup_id } => {
                let body = format!("{}", self.sent);
                self.sent += 1;
                let message = OutgoingMessage::fifo(&body, format!("g{group}"), format!("d{dedup_id}"));
                let outcome = self.queue.send(&self.name, message).await.unwrap();
                assert_eq!(outcome.duplicate, Some(!self.model.send(group, dedup_id, body)));
            }
            Step::Receive { max, seconds } => self.receive(max, seconds).await,
            Step::Extend { receipt, seconds } => {
                let Some(at) = self.pick(receipt) else { return };
                let visibility = Duration::from_secs(seconds);
                let outcome = self
                    .queue
                    .extend(&self.name, &self.receipts[at], visibility)
                    .await;
                let until = self.model.now + i64::try_from(seconds).unwrap();
                let held = self.model.held(at);
                agree(&outcome, held.is_some());
                if let Some(message) = held {
                    message.hidden_until = until;
                }
            }
            Step::Delete { receipt } => {
                let Some(at) = self.pick(receipt) else { return };
                let outcome = self.queue.delete(&self.name, &self.receipts[at]).await;
                let is_held = self.model.held(at).is_some();
                agree(&outcome, is_held);
                if is_held {
                    self.model.messages.retain(|message| message.receipt != Some(at));
                }
            }
            Step::Wait { seconds } => {
                self.clock.advance(TimeDelta::seconds(seconds));
                self.model.now += seconds;
            }
            Step::Kill => {
                let copy = copy_of(&self.folder);
                self.queue = open_looking_at(copy.path(), &self.clock, LOOKED_AT);
                self.folder = copy;
            }
        }
    }

    fn pick(&self, receipt: prop::sample::Index) -> Option<usize> {
        (!self.receipts.is_empty()).then(|| receipt.index(self.receipts.len()))
    }

    async fn receive(&mut self, max: u8, seconds: u64) {
        let options = ReceiveOptions {
            max,
            wait: Duration::ZERO,
            visibility: Duration::from_secs(seconds),
        };
        let received = self.queue.receive(&self.name, options).await.unwrap();
        let expected = self
            .model
            .receive(usize::from(max), i64::try_from(seconds).unwrap());
        let got: Vec<_> = received
            .iter()
            .map(|message| (message.body.clone(), message.receive_count))
            .collect();
        assert_eq!(got, expected);
        self.receipts
            .extend(received.into_iter().map(|message| message.receipt));
    }

    /// Every message is in the queue or among the dead letters, in the model's numbers.
    async fn finish(self) {
        let depth = self.queue.depth(&self.name).await.unwrap();
        let hidden = self
            .model
            .messages
            .iter()
            .filter(|m| m.hidden_until > self.model.now)
            .count();
        assert_eq!(depth.in_flight, hidden as u64);
        assert_eq!(depth.visible, (self.model.messages.len() - hidden) as u64);
        let dead = self.queue.depth(&self.dead).await.unwrap();
        assert_eq!(dead.visible, self.model.dead.len() as u64);
    }
}

fn agree(outcome: &Result<(), QueueError>, held: bool) {
    match outcome {
        Ok(()) => assert!(held, "the model holds this receipt for stale"),
        Err(QueueError::StaleReceipt) => assert!(!held, "the model holds this receipt for good"),
        Err(error) => panic!("{error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_agrees_with_the_model(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::start().await;
            for step in steps {
                run.step(step).await;
            }
            run.finish().await;
        });
    }
}
