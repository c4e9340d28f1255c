//! What SQS keeps from a consumer: receipts whose time is over, times beyond 12 h, groups behind too many messages.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::{LOOKED_AT, OutgoingMessage, Queue, QueueError, QueueName, ReceiveOptions, Received};

use super::{create, open, open_looking_at, stepped_clock};

const HOUR: Duration = Duration::from_hours(1);

const NOW: ReceiveOptions = ReceiveOptions {
    max: 10,
    wait: Duration::ZERO,
    visibility: Duration::from_mins(1),
};

async fn send(queue: &EmbeddedQueue, name: &QueueName, group: &str, body: &str) {
    let message = if name.is_fifo() {
        OutgoingMessage::fifo(body, group, body.replace(' ', "-"))
    } else {
        OutgoingMessage::standard(body)
    };
    queue.send(name, message).await.unwrap();
}

fn bodies(messages: &[Received]) -> Vec<&str> {
    messages.iter().map(|message| message.body.as_str()).collect()
}

#[tokio::test]
async fn a_receipt_ends_with_its_visibility() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), stepped_clock());
    let queue = open(folder.path(), &clock);
    for name in ["q.fifo", "q"] {
        let name = create(&queue, name).await;
        send(&queue, &name, "a", "x").await;
        let held = queue.receive(&name, NOW).await.unwrap().remove(0);
        clock.advance(TimeDelta::milliseconds(59_999));
        queue.extend(&name, &held.receipt, NOW.visibility).await.unwrap();
        clock.advance(TimeDelta::minutes(1));
        let late = queue.extend(&name, &held.receipt, NOW.visibility).await;
        assert!(matches!(late, Err(QueueError::StaleReceipt)), "{name}: {late:?}");
        let late = queue.delete(&name, &held.receipt).await;
        if name.is_fifo() {
            assert!(matches!(late, Err(QueueError::StaleReceipt)), "{late:?}");
            let again = queue.receive(&name, NOW).await.unwrap();
            assert_eq!(bodies(&again), ["x"], "it is not deleted");
        } else {
            late.expect("a standard queue still deletes");
            assert!(queue.receive(&name, NOW).await.unwrap().is_empty());
        }
    }
}

#[tokio::test]
async fn a_delivery_ends_after_twelve_hours_however_often_it_is_extended() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), stepped_clock());
    let queue = open(folder.path(), &clock);
    let keep = 14 * 24 * HOUR;
    let name = super::create_with(&queue, "q.fifo", keep, None).await;
    send(&queue, &name, "a", "x").await;
    for delivery in 1..=2 {
        let held = queue.receive(&name, NOW).await.unwrap().remove(0);
        assert_eq!(
            held.receive_count, delivery,
            "each delivery has twelve hours of its own"
        );
        queue.extend(&name, &held.receipt, 12 * HOUR).await.unwrap();
        for hour in 1..=11 {
            clock.advance(TimeDelta::hours(1));
            let beyond = queue.extend(&name, &held.receipt, 12 * HOUR).await;
            assert!(matches!(beyond, Err(QueueError::Invalid(_))), "{beyond:?}");
            queue
                .extend(&name, &held.receipt, (12 - hour) * HOUR)
                .await
                .unwrap();
        }
        clock.advance(TimeDelta::minutes(59));
        assert!(
            queue.receive(&name, NOW).await.unwrap().is_empty(),
            "what was refused changed nothing"
        );
        clock.advance(TimeDelta::minutes(1));
    }
    assert_eq!(bodies(&queue.receive(&name, NOW).await.unwrap()), ["x"]);
}

#[tokio::test]
async fn nothing_comes_from_behind_so_many_messages_of_blocked_groups() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), stepped_clock());
    let queue = open_looking_at(folder.path(), &clock, 20);
    let (name, other) = (create(&queue, "q.fifo").await, create(&queue, "other.fifo").await);
    // Numbers of another queue's messages lie between, and count for nothing.
    for number in 0..19 {
        send(&queue, &name, "busy", &format!("busy {number}")).await;
        send(&queue, &other, "a", &format!("other {number}")).await;
    }
    send(&queue, &name, "last", "last").await;
    send(&queue, &name, "behind", "behind").await;
    let one = ReceiveOptions { max: 1, ..NOW };
    let held = queue.receive(&name, one).await.unwrap().remove(0);
    assert_eq!(held.body, "busy 0");
    let last = queue.receive(&name, NOW).await.unwrap();
    assert_eq!(bodies(&last), ["last"], "the twentieth message is looked at");
    assert!(
        queue.receive(&name, NOW).await.unwrap().is_empty(),
        "what is in flight counts among the twenty"
    );
    let poll = ReceiveOptions {
        wait: Duration::from_secs(20),
        ..one
    };
    let (behind, deleted) = tokio::join!(queue.receive(&name, poll), queue.delete(&name, &last[0].receipt));
    deleted.unwrap();
    assert_eq!(
        bodies(&behind.unwrap()),
        ["behind"],
        "each deletion lets one more be seen"
    );
    assert_eq!(LOOKED_AT, 120_000, "the number of SQS");
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_by_its_number() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), stepped_clock());
    open(folder.path(), &clock).close().await;
    let path = folder.path().join("queue.db");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch("PRAGMA user_version = 99;").unwrap();
    file.close().unwrap();

    let refusal = EmbeddedQueue::open(Some(&path), Arc::new(clock)).unwrap_err();
    let said = shared::telemetry::chain(&refusal);
    assert!(said.contains("of version 99"), "{said}");
    let file = rusqlite::Connection::open(&path).unwrap();
    let left: i64 = file
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(left, 99);
}

#[tokio::test]
async fn a_file_of_the_version_before_is_taken_over() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), stepped_clock());
    let queue = open(folder.path(), &clock);
    let name = create(&queue, "q.fifo").await;
    for body in ["held", "free"] {
        send(&queue, &name, body, body).await;
    }
    let one = ReceiveOptions { max: 1, ..NOW };
    let held = queue.receive(&name, one).await.unwrap().remove(0);
    queue.close().await;
    let file = rusqlite::Connection::open(folder.path().join("queue.db")).unwrap();
    file.execute_batch(
        "DROP INDEX messages_by_queue; ALTER TABLE messages DROP COLUMN received_at; PRAGMA user_version = 1;",
    )
    .unwrap();
    file.close().unwrap();

    let queue = open(folder.path(), &clock);
    assert_eq!(bodies(&queue.receive(&name, NOW).await.unwrap()), ["free"]);
    clock.advance(TimeDelta::seconds(30));
    queue.extend(&name, &held.receipt, 12 * HOUR).await.unwrap();
    queue.delete(&name, &held.receipt).await.unwrap();
}
