//! Sizes, mistakes, counts and set-up.

use std::time::{Duration, Instant};

use shared::queue::{Depth, MAX_BODY_BYTES, OutgoingMessage, Queue, QueueError, QueueName, ReceiveOptions};

use crate::adapters::{Adapter, attributes, bodies, fifo, send, standard, take, unique};

pub async fn one_mebibyte_fits_and_more_is_refused(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    let largest = "x".repeat(MAX_BODY_BYTES);
    queue
        .send(&name, OutgoingMessage::fifo(&largest, "a", "1"))
        .await
        .expect("the limit itself is allowed");
    let refused = queue
        .send(&name, OutgoingMessage::fifo(format!("{largest}x"), "a", "2"))
        .await;
    assert!(matches!(refused, Err(QueueError::TooLarge { bytes }) if bytes == MAX_BODY_BYTES + 1));
    let received = take(&*queue, &name, 10).await;
    assert_eq!(received.len(), 1);
    assert!(received[0].body == largest, "the body came back as it was sent");
}

pub async fn unicode_and_line_ends_come_back_as_sent(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = standard(&*queue).await;
    let body = "{\"text\": \"Grüße 👋🏽 <&> \\u0000\"}\r\n\tשלום";
    send(&*queue, &name, "", body).await;
    assert_eq!(bodies(&take(&*queue, &name, 1).await), [body]);
}

pub async fn mistakes_are_refused(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let (fifo, standard) = (fifo(&*queue).await, standard(&*queue).await);
    let second = Duration::from_secs(1);
    let messages = [
        (&fifo, OutgoingMessage::standard("no group")),
        (
            &fifo,
            OutgoingMessage {
                dedup_id: None,
                ..OutgoingMessage::fifo("no deduplication id", "a", "1")
            },
        ),
        (&fifo, OutgoingMessage::fifo("a delay", "a", "1").delayed(second)),
        (&standard, OutgoingMessage::fifo("a group", "a", "1")),
        (
            &standard,
            OutgoingMessage::standard("too late").delayed(Duration::from_secs(901)),
        ),
    ];
    for (name, message) in messages {
        let text = message.body.clone();
        assert!(
            matches!(queue.send(name, message).await, Err(QueueError::Invalid(_))),
            "{text}"
        );
    }
    let good = ReceiveOptions {
        max: 1,
        wait: Duration::ZERO,
        visibility: second,
    };
    let receives = [
        ReceiveOptions { max: 0, ..good },
        ReceiveOptions { max: 11, ..good },
        ReceiveOptions {
            wait: Duration::from_secs(21),
            ..good
        },
        ReceiveOptions {
            visibility: Duration::ZERO,
            ..good
        },
        ReceiveOptions {
            visibility: Duration::from_secs(43_201),
            ..good
        },
    ];
    for options in receives {
        assert!(
            matches!(queue.receive(&fifo, options).await, Err(QueueError::Invalid(_))),
            "{options:?}"
        );
    }
    assert_eq!(
        queue.depth(&fifo).await.expect("answered"),
        Depth::default(),
        "nothing got through"
    );
}

pub async fn an_unknown_queue_is_named(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = QueueName::new(format!("{}.fifo", unique())).expect("a queue name");
    let sent = queue.send(&name, OutgoingMessage::fifo("x", "a", "1")).await;
    assert!(matches!(sent, Err(QueueError::NoSuchQueue(missing)) if missing == name));
    assert!(matches!(
        queue.depth(&name).await,
        Err(QueueError::NoSuchQueue(_))
    ));
    queue
        .ensure(&name, attributes(None))
        .await
        .expect("it can be created later");
    queue
        .send(&name, OutgoingMessage::fifo("x", "a", "1"))
        .await
        .expect("and is found then");
}

pub async fn depth_counts_by_state(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = standard(&*queue).await;
    for body in ["1", "2", "3"] {
        send(&*queue, &name, "", body).await;
    }
    let later = OutgoingMessage::standard("later").delayed(Duration::from_mins(1));
    queue.send(&name, later).await.expect("accepted");
    assert_eq!(take(&*queue, &name, 1).await.len(), 1);
    comes_to(
        &*queue,
        &name,
        Depth {
            visible: 2,
            in_flight: 1,
            delayed: 1,
        },
    )
    .await;
}

/// Polls, for SQS's counts lag behind.
async fn comes_to(queue: &dyn Queue, name: &QueueName, expected: Depth) {
    let started = Instant::now();
    loop {
        let depth = queue.depth(name).await.expect("answered");
        if depth == expected {
            return;
        }
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "{depth:?} instead of {expected:?}"
        );
        tokio::task::yield_now().await;
    }
}

pub async fn ensure_may_be_repeated(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    send(&*queue, &name, "a", "x").await;
    let changed = shared::queue::QueueAttributes {
        retention: Duration::from_hours(2),
        ..attributes(None)
    };
    queue
        .ensure(&name, changed.clone())
        .await
        .expect("an existing queue takes new attributes");
    queue.ensure(&name, changed).await.expect("and the same ones");
    assert_eq!(
        bodies(&take(&*queue, &name, 1).await),
        ["x"],
        "what it holds stays"
    );
    let dangling = QueueName::new(format!("{}.fifo", unique())).expect("a queue name");
    let refused = queue.ensure(&name, attributes(Some((dangling.clone(), 3)))).await;
    assert!(matches!(refused, Err(QueueError::NoSuchQueue(missing)) if missing == dangling));
}
