//! Batches as Lambda gives them: the messages of an invocation, and the answer that names those that stay.
//!
//! Lambda deletes what is not named. A FIFO queue gives nothing more of a group while one of its messages is out. So what is
//! behind a message that stays is not tried, and is named as well; and what is done is deleted here at once, where others of
//! the batch take longer: their endpoints are theirs alone.

use std::time::Duration;

use chrono::DateTime;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde::{Deserialize, Serialize};
use shared::queue::consumer::Done;
use shared::queue::{QueueName, Receipt, Received};
use shared::telemetry::chain;
use tokio::time::Instant;
use tracing::{error, warn};

use super::dispatch::Source;
use super::line::{InOrder, grouped};
use super::state::WebhooksState;

/// How long an invocation begins attempts: one place of an invocation is not one chat's for longer. With the last one it ends
/// before its time-out in `template.yaml`, and that long before the messages come back
/// ([`EVENTS_VISIBILITY`](shared::queue::deployment::EVENTS_VISIBILITY)).
pub const BUDGET: Duration = Duration::from_secs(30);

/// For how long what found no time is hidden.
const NO_TIME: Duration = Duration::from_secs(1);

/// How long what is done waits for the others of its batch before it is deleted by itself.
const GATHER: Duration = Duration::from_millis(250);

/// What Lambda hands on from a queue (AWS Lambda, "Using Lambda with Amazon SQS").
#[derive(Debug, Deserialize)]
pub struct Batch {
    /// The messages. Those of a group stand in their order.
    #[serde(rename = "Records")]
    pub records: Vec<Record>,
}

/// A message.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The queue's id of it.
    pub message_id: String,
    /// The handle of this delivery.
    pub receipt_handle: String,
    /// The payload.
    pub body: String,
    /// What the queue says of it.
    #[serde(default)]
    pub attributes: Attributes,
    /// The queue's name, in full.
    #[serde(rename = "eventSourceARN")]
    pub source: String,
}

/// Bodies are content.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("message_id", &self.message_id)
            .finish_non_exhaustive()
    }
}

/// What a queue says of a message.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Attributes {
    /// How often it was received.
    pub approximate_receive_count: Option<String>,
    /// Its group; of FIFO queues.
    pub message_group_id: Option<String>,
    /// When it was sent, in milliseconds since the Unix epoch.
    pub sent_timestamp: Option<String>,
}

/// The answer to Lambda: what stays in its queue.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failures {
    /// Each of them.
    pub batch_item_failures: Vec<Failure>,
}

/// A message that stays in its queue.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The queue's id of it.
    pub item_identifier: String,
}

/// What became of a message.
struct Ended {
    id: String,
    receipt: Receipt,
    done: Done,
}

impl WebhooksState {
    /// Does what the messages of a batch ask for. All are from one queue.
    pub async fn take(&self, batch: Batch) -> Failures {
        let Some(first) = batch.records.first() else {
            return Failures::default();
        };
        let queue = first.source.rsplit(':').next().unwrap_or_default();
        let (Some(source), Ok(name)) = (self.source(queue), QueueName::new(queue)) else {
            error!(queue, "this function does not consume this queue");
            return Failures::of(batch.records.into_iter().map(|record| record.message_id));
        };
        let until = Instant::now() + BUDGET;
        let groups = grouped(batch.records.into_iter().map(received));
        let mut under_way: FuturesUnordered<_> = groups
            .into_iter()
            .map(|group| self.group(&source, group, until))
            .collect();
        let (mut stay, mut done) = (Vec::new(), Vec::new());
        let mut deleting = FuturesUnordered::new();
        loop {
            tokio::select! {
                ended = under_way.next() => match ended {
                    None => break,
                    Some(ended) => {
                        for Ended { id, receipt, done: became } in ended {
                            match became {
                                Done::Delete => done.push(receipt),
                                Done::LeaveFor(pause) => stay.push((id, receipt, pause)),
                            }
                        }
                    }
                },
                // The rest hangs. A queue that is slow does not hold it up.
                () = tokio::time::sleep(GATHER), if !done.is_empty() => {
                    deleting.push(self.delete(&name, std::mem::take(&mut done)));
                }
                Some(()) = deleting.next(), if !deleting.is_empty() => {}
            }
        }
        // What is not deleted by now Lambda deletes.
        drop(deleting);
        let pauses: Vec<_> = stay
            .iter()
            .map(|(_, receipt, pause)| (receipt.clone(), *pause))
            .collect();
        if !pauses.is_empty() {
            for result in self.queue.extend_batch(&name, &pauses).await {
                if let Err(error) = result {
                    // It comes back when its visibility ends.
                    warn!(queue = %name, error = %chain(&error), "could not hide a message that stays");
                }
            }
        }
        Failures::of(stay.into_iter().map(|(id, ..)| id))
    }

    /// The messages of a group, one after the other.
    async fn group(&self, source: &Source, group: Vec<Received>, until: Instant) -> Vec<Ended> {
        let mut ended = Vec::with_capacity(group.len());
        let mut order = InOrder::default();
        for message in group {
            if Instant::now() >= until {
                order.stop(NO_TIME);
            }
            let done = order.handle(self, source, &message).await;
            ended.push(Ended {
                id: message.message_id,
                receipt: message.receipt,
                done,
            });
        }
        ended
    }

    async fn delete(&self, name: &QueueName, receipts: Vec<Receipt>) {
        for result in self.queue.delete_batch(name, &receipts).await {
            if let Err(error) = result {
                // Lambda deletes it in the end.
                warn!(queue = %name, error = %chain(&error), "could not delete a message that is done");
            }
        }
    }
}

impl Failures {
    fn of(ids: impl Iterator<Item = String>) -> Self {
        let batch_item_failures = ids.map(|item_identifier| Failure { item_identifier }).collect();
        Self { batch_item_failures }
    }
}

fn received(record: Record) -> Received {
    let Attributes {
        approximate_receive_count,
        message_group_id,
        sent_timestamp,
    } = record.attributes;
    Received {
        body: record.body,
        receipt: Receipt::new(record.receipt_handle),
        message_id: record.message_id,
        group: message_group_id,
        receive_count: approximate_receive_count
            .and_then(|count| count.parse().ok())
            .unwrap_or(1),
        sent_at: sent_timestamp.and_then(|millis| DateTime::from_timestamp_millis(millis.parse().ok()?)),
    }
}
