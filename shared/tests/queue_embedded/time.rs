//! Retention, the deduplication window and visibility by a clock that the test moves; opening and closing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use shared::clock::SystemClock;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{Depth, OutgoingMessage, Queue, QueueError, ReceiveOptions};

use super::{create, open, reopen_after_kill, stepped_clock};

const NOW: ReceiveOptions = ReceiveOptions {
    max: 10,
    wait: Duration::ZERO,
    visibility: Duration::from_mins(1),
};

#[tokio::test]
async fn a_message_is_dropped_after_its_retention_even_in_flight() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), stepped_clock());
    let queue = open(folder.path(), &clock);
    let name = create(&queue, "q.fifo").await;
    queue
        .send(&name, OutgoingMessage::fifo("old", "a", "1"))
        .await
        .unwrap();
    let held = queue.receive(&name, NOW).await.unwrap().remove(0);
    queue
        .extend(&name, &held.receipt, Duration::from_hours(2))
        .await
        .unwrap();
    clock.advance(TimeDelta::minutes(59));
    queue
        .send(&name, OutgoingMessage::fifo("new", "a", "2"))
        .await
        .unwrap();
    assert!(
        queue.receive(&name, NOW).await.unwrap().is_empty(),
        "the group is blocked"
    );
    clock.advance(TimeDelta::minutes(1));
    let received = queue.receive(&name, NOW).await.unwrap();
    assert_eq!(
        received[0].body, "new",
        "the hour of the first is over, and its block with it"
    );
    assert!(matches!(
        queue.delete(&name, &held.receipt).await,
        Err(QueueError::StaleReceipt)
    ));
}

#[tokio::test]
async fn a_deduplication_id_is_remembered_for_five_minutes_over_a_restart() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), stepped_clock());
    let queue = open(folder.path(), &clock);
    let name = create(&queue, "q.fifo").await;
    let message = || OutgoingMessage::fifo("x", "a", "1");
    let first = queue.send(&name, message()).await.unwrap();
    clock.advance(TimeDelta::seconds(299));
    let (_folder, queue) = reopen_after_kill(&folder, &clock);
    let again = queue.send(&name, message()).await.unwrap();
    assert_eq!(
        (again.duplicate, &again.message_id),
        (Some(true), &first.message_id)
    );
    clock.advance(TimeDelta::seconds(1));
    let later = queue.send(&name, message()).await.unwrap();
    assert_eq!(later.duplicate, Some(false));
    assert_ne!(later.message_id, first.message_id);
}

#[tokio::test]
async fn visibility_counts_down_while_the_process_is_gone() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), stepped_clock());
    let queue = open(folder.path(), &clock);
    let name = create(&queue, "q").await;
    queue.send(&name, OutgoingMessage::standard("x")).await.unwrap();
    let held = queue.receive(&name, NOW).await.unwrap().remove(0);
    clock.advance(TimeDelta::seconds(59));
    let (folder, queue) = reopen_after_kill(&folder, &clock);
    assert!(queue.receive(&name, NOW).await.unwrap().is_empty());
    assert_eq!(
        queue.depth(&name).await.unwrap(),
        Depth {
            in_flight: 1,
            ..Depth::default()
        }
    );
    clock.advance(TimeDelta::seconds(1));
    let (_folder, queue) = reopen_after_kill(&folder, &clock);
    let again = queue.receive(&name, NOW).await.unwrap().remove(0);
    assert_eq!((again.receive_count, &again.message_id), (2, &held.message_id));
}

#[tokio::test]
async fn close_keeps_what_was_accepted_and_ends_waiting_polls() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), stepped_clock());
    let queue = open(folder.path(), &clock);
    let (name, idle) = (create(&queue, "q").await, create(&queue, "idle").await);
    queue.send(&name, OutgoingMessage::standard("x")).await.unwrap();
    let started = Instant::now();
    let poll = ReceiveOptions {
        wait: Duration::from_secs(20),
        ..NOW
    };
    let (polled, ()) = tokio::join!(queue.receive(&idle, poll), queue.close());
    assert!(
        matches!(polled, Err(QueueError::Unavailable { .. })),
        "{polled:?}"
    );
    assert!(started.elapsed() < poll.wait);
    let late = queue.send(&name, OutgoingMessage::standard("late")).await;
    assert!(matches!(late, Err(QueueError::Unavailable { .. })));
    queue.close().await;

    let queue = open(folder.path(), &clock);
    assert_eq!(queue.receive(&name, NOW).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_belongs_to_one_opener_at_a_time() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), stepped_clock());
    let path = folder.path().join("queue.db");
    let queue = open(folder.path(), &clock);
    let second = tokio::task::spawn_blocking({
        let path = path.clone();
        move || EmbeddedQueue::open(Some(&path), Arc::new(SystemClock))
    });
    assert!(matches!(
        second.await.unwrap(),
        Err(QueueError::Unavailable { .. })
    ));
    queue.close().await;
    assert!(EmbeddedQueue::open(Some(&path), Arc::new(SystemClock)).is_ok());
}

#[tokio::test]
async fn a_queue_in_memory_works_alike() {
    let queue = EmbeddedQueue::open(None, Arc::new(SystemClock)).unwrap();
    let name = create(&queue, "q.fifo").await;
    queue
        .send(&name, OutgoingMessage::fifo("x", "a", "1"))
        .await
        .unwrap();
    assert_eq!(queue.receive(&name, NOW).await.unwrap()[0].body, "x");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_senders_at_once_are_all_durable() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), stepped_clock());
    let queue = Arc::new(open(folder.path(), &clock));
    let name = create(&queue, "q").await;
    let senders: Vec<_> = (0..2_000)
        .map(|number| {
            let (queue, name) = (Arc::clone(&queue), name.clone());
            tokio::spawn(async move {
                queue
                    .send(&name, OutgoingMessage::standard(number.to_string()))
                    .await
            })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap().unwrap();
    }
    let (_folder, reopened) = reopen_after_kill(&folder, &clock);
    assert_eq!(reopened.depth(&name).await.unwrap().visible, 2_000);
}
