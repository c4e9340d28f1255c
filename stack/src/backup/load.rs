//! Copies that are made while messages are accepted: a copy has both stores as they were at one moment.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use shared::clock::{Clock as _, SystemClock};
use shared::domain::network::Network;
use shared::ids::{InstanceId, MessageId};
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{OutgoingMessage, Queue as _, QueueName, QueueNames, ReceiveOptions, deployment};
use shared::storage::{Table, keys};
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::{back_up, restore};
use crate::database::Embedded;
use crate::place::{Place, QUEUES_FILE, TABLE_FILE};
use crate::wrapping;

/// How many accept messages at the same time. Each has one message on its way.
const WRITERS: usize = 4;

/// How many copies are made.
const COPIES: usize = 4;

/// How many messages are accepted between two copies.
const BETWEEN: usize = 40;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where messages are accepted: a record first, and then a job.
#[derive(Clone)]
struct Desk {
    table: Table,
    queue: Arc<EmbeddedQueue>,
    jobs: QueueName,
    instance: InstanceId,
    accepted: Arc<watch::Sender<BTreeSet<MessageId>>>,
}

impl Desk {
    /// Accepts messages, one after the other.
    async fn accept(self) {
        loop {
            let id = MessageId::new(SystemClock.now());
            let record = keys::message(self.instance, id).attributes();
            self.table.put(record).send().await.expect("stored");
            let job = OutgoingMessage::standard(id.to_string());
            self.queue.send(&self.jobs, job).await.expect("queued");
            self.accepted.send_modify(|accepted| {
                accepted.insert(id);
            });
        }
    }

    /// What is accepted, once that is so many more than now.
    async fn after(&self, more: usize) -> BTreeSet<MessageId> {
        let mut accepted = self.accepted.subscribe();
        let wanted = accepted.borrow().len() + more;
        let enough = accepted.wait_for(|accepted| accepted.len() >= wanted);
        let enough = timeout(PATIENCE, enough).await.expect("messages are accepted");
        enough.expect("the desk is there").clone()
    }
}

/// What a restored folder has: the records of an instance, and the jobs.
async fn content(folder: &Path, instance: InstanceId, jobs: &QueueName) -> [BTreeSet<MessageId>; 2] {
    let database = Embedded::start(Some(&folder.join(TABLE_FILE)), false)
        .await
        .expect("opened");
    let table = &database.table;
    let scan = table.client().scan().table_name(table.name());
    let items = scan.into_paginator().items().send();
    let items = items.collect::<Result<Vec<_>, _>>().await.expect("read");
    let partition = keys::message_partition(instance);
    let text = |value: &str| value.parse::<MessageId>().expect("a message");
    let records = items
        .iter()
        .filter(|item| item["pk"].as_s() == Ok(&partition))
        .map(|item| text(item["sk"].as_s().expect("a text")))
        .collect();
    database.shutdown().await;

    let queue = EmbeddedQueue::open(Some(&folder.join(QUEUES_FILE)), Arc::new(SystemClock)).expect("opened");
    let options = ReceiveOptions {
        max: 10,
        wait: Duration::ZERO,
        visibility: Duration::from_hours(1),
    };
    let mut queued = BTreeSet::new();
    loop {
        let received = queue.receive(jobs, options).await.expect("received");
        if received.is_empty() {
            break;
        }
        queued.extend(received.iter().map(|job| text(&job.body)));
    }
    queue.close().await;
    [records, queued]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_accepted_before_a_copy_is_in_both_of_its_stores_and_nothing_of_later() {
    let folder = tempfile::tempdir().expect("made");
    let state = folder.path().join("state");
    let place = Place::open_for(state.clone(), Network::Live).expect("opened");
    wrapping::settle(&state, &place.wrapping()).expect("made");
    let database = Embedded::start(Some(&state.join(TABLE_FILE)), false)
        .await
        .expect("opened");
    let queue = EmbeddedQueue::open(Some(&state.join(QUEUES_FILE)), Arc::new(SystemClock)).expect("opened");
    let queue = Arc::new(queue);
    let names = QueueNames::new("waxwing", Network::Live.as_str()).expect("names");
    deployment::ensure_all(&*queue, &names, 1).await.expect("made");
    let desk = Desk {
        table: database.table.clone(),
        queue: Arc::clone(&queue),
        jobs: names.events_retry(),
        instance: InstanceId::new(SystemClock.now()),
        accepted: Arc::new(watch::channel(BTreeSet::new()).0),
    };
    let mut desks = JoinSet::new();
    for _ in 0..WRITERS {
        desks.spawn(desk.clone().accept());
    }
    let mut made = Vec::new();
    for number in 0..COPIES {
        let before = desk.after(BETWEEN).await;
        let (from, copy) = (state.clone(), folder.path().join(format!("copy-{number}")));
        let to = copy.clone();
        let copied = spawn_blocking(move || back_up(&from, &to)).await;
        copied.expect("no panic").expect("copied");
        made.push((copy, before, SystemClock.now()));
    }
    let all = desk.after(BETWEEN).await;
    desks.shutdown().await;

    for (copy, before, ended) in made {
        let restored = copy.with_extension("restored");
        Box::pin(restore(&copy, &restored)).await.expect("restored");
        let [records, queued] = Box::pin(content(&restored, desk.instance, &desk.jobs)).await;
        let in_both: BTreeSet<_> = records.intersection(&queued).copied().collect();
        assert!(before.is_subset(&in_both), "what was accepted is in both");
        assert_eq!(in_both, queued, "each job has its record");
        assert!(
            records.len() - queued.len() <= WRITERS,
            "no more than one of each writer was on its way: {} records, {} jobs",
            records.len(),
            queued.len()
        );
        let later: BTreeSet<_> = all.iter().filter(|id| id.created_at() > ended).copied().collect();
        assert!(!later.is_empty() && later.is_disjoint(&records));
    }
    queue.close().await;
    database.shutdown().await;
}
