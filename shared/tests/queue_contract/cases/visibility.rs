//! Who owns a received message, and for how long.

use std::time::{Duration, Instant};

use shared::queue::{MAX_VISIBILITY, QueueError, Receipt, ReceiveOptions};

use crate::adapters::{Adapter, bodies, fifo, send, standard, take, wait_for_one};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

pub async fn an_abandoned_message_comes_back(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    for name in [fifo(&*queue).await, standard(&*queue).await] {
        send(&*queue, &name, "a", "x").await;
        let started = Instant::now();
        let first = wait_for_one(&*queue, &name, SECOND).await;
        let second = wait_for_one(&*queue, &name, MINUTE).await;
        assert!(
            started.elapsed() >= Duration::from_millis(900),
            "{name}: it was hidden for its time"
        );
        assert_eq!((first.receive_count, second.receive_count), (1, 2), "{name}");
        assert_eq!(first.message_id, second.message_id, "{name}");
        assert!(first.sent_at.is_some(), "{name}");
        assert_eq!(first.sent_at, second.sent_at, "{name}");
        assert_ne!(first.receipt, second.receipt, "{name}");
    }
}

pub async fn an_extension_keeps_a_message_hidden(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    send(&*queue, &name, "a", "x").await;
    let message = loop {
        let message = wait_for_one(&*queue, &name, SECOND).await;
        match queue.extend(&name, &message.receipt, MINUTE).await {
            Ok(()) => break message,
            // On a busy machine its second may be over, and it comes again.
            Err(QueueError::StaleReceipt) => {}
            Err(error) => panic!("{error}"),
        }
    };
    let options = ReceiveOptions {
        max: 1,
        wait: 2 * SECOND,
        visibility: SECOND,
    };
    assert!(
        queue.receive(&name, options).await.expect("answered").is_empty(),
        "the first second is over"
    );
    queue
        .delete(&name, &message.receipt)
        .await
        .expect("the receipt is still the latest");
}

pub async fn zero_returns_a_message_at_once(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    for name in [fifo(&*queue).await, standard(&*queue).await] {
        send(&*queue, &name, "a", "x").await;
        let first = wait_for_one(&*queue, &name, MINUTE).await;
        queue
            .extend(&name, &first.receipt, Duration::ZERO)
            .await
            .expect("the receipt is fresh");
        assert_eq!(bodies(&take(&*queue, &name, 1).await), ["x"], "{name}");
    }
}

pub async fn an_old_receipt_is_stale_after_another_delivery(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    send(&*queue, &name, "a", "x").await;
    let old = wait_for_one(&*queue, &name, SECOND).await.receipt;
    let new = wait_for_one(&*queue, &name, MINUTE).await.receipt;
    assert!(matches!(
        queue.extend(&name, &old, MINUTE).await,
        Err(QueueError::StaleReceipt)
    ));
    assert!(matches!(
        queue.delete(&name, &old).await,
        Err(QueueError::StaleReceipt)
    ));
    queue
        .extend(&name, &new, MINUTE)
        .await
        .expect("the new receipt holds");
    queue.delete(&name, &new).await.expect("the new receipt holds");
}

pub async fn a_deleted_message_is_gone(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    for name in [fifo(&*queue).await, standard(&*queue).await] {
        send(&*queue, &name, "a", "x").await;
        loop {
            let message = wait_for_one(&*queue, &name, SECOND).await;
            match queue.delete(&name, &message.receipt).await {
                Ok(()) => break,
                // On a busy machine its second may be over, and it comes again.
                Err(QueueError::StaleReceipt) => {}
                Err(error) => panic!("{error}"),
            }
        }
        let options = ReceiveOptions {
            max: 1,
            wait: 2 * SECOND,
            visibility: SECOND,
        };
        assert!(
            queue.receive(&name, options).await.expect("answered").is_empty(),
            "{name}"
        );
    }
}

pub async fn a_crash_loses_nothing(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1"), ("c", "c1")] {
        send(&*queue, &name, group, body).await;
    }
    let held = wait_for_one(&*queue, &name, 10 * SECOND).await;
    assert_eq!(held.body, "a1");
    let done = wait_for_one(&*queue, &name, MINUTE).await;
    queue
        .delete(&name, &done.receipt)
        .await
        .expect("the receipt is fresh");
    drop(queue);
    adapter.crash().await;

    let queue = adapter.queue();
    assert_eq!(
        bodies(&take(&*queue, &name, 10).await),
        ["c1"],
        "what was held is still held, what was done is done"
    );
    let again = wait_for_one(&*queue, &name, MINUTE).await;
    assert_eq!((again.body.as_str(), again.receive_count), ("a1", 2));
    queue
        .delete(&name, &again.receipt)
        .await
        .expect("the receipt is fresh");
    assert_eq!(bodies(&take(&*queue, &name, 10).await), ["a2"]);
}

pub async fn batches_answer_for_each_entry(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    for group in ["a", "b", "c"] {
        send(&*queue, &name, group, group).await;
    }
    let taken = take(&*queue, &name, 10).await;
    let mut receipts: Vec<Receipt> = taken.into_iter().map(|message| message.receipt).collect();
    let extensions: Vec<_> = receipts.iter().map(|receipt| (receipt.clone(), MINUTE)).collect();
    assert!(
        queue
            .extend_batch(&name, &extensions)
            .await
            .iter()
            .all(Result::is_ok)
    );
    queue
        .delete(&name, &receipts[1])
        .await
        .expect("the receipt is fresh");
    let results = queue.delete_batch(&name, &receipts).await;
    assert!(
        matches!(results[..], [Ok(()), Err(QueueError::StaleReceipt), Ok(())]),
        "{results:?}"
    );
    receipts.clear();
    assert!(queue.delete_batch(&name, &receipts).await.is_empty());
}

pub async fn a_receipt_ends_with_its_visibility(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    for name in [fifo(&*queue).await, standard(&*queue).await] {
        send(&*queue, &name, "a", "x").await;
        let receipt = wait_for_one(&*queue, &name, MINUTE).await.receipt;
        queue
            .extend(&name, &receipt, Duration::ZERO)
            .await
            .expect("the receipt is fresh");
        let late = queue.extend(&name, &receipt, MINUTE).await;
        assert!(matches!(late, Err(QueueError::StaleReceipt)), "{name}: {late:?}");
        let late = queue.delete(&name, &receipt).await;
        let again = take(&*queue, &name, 1).await;
        if name.is_fifo() {
            assert!(matches!(late, Err(QueueError::StaleReceipt)), "{late:?}");
            assert_eq!(bodies(&again), ["x"]);
        } else {
            late.expect("a standard queue still deletes");
            assert!(again.is_empty(), "{again:?}");
        }
    }
}

pub async fn a_delivery_ends_after_twelve_hours(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    send(&*queue, &name, "a", "x").await;
    let receipt = wait_for_one(&*queue, &name, MINUTE).await.receipt;
    // Once any time has gone by since the receive, twelve hours from now are too much.
    let started = Instant::now();
    loop {
        match queue.extend(&name, &receipt, MAX_VISIBILITY).await {
            Ok(()) => assert!(started.elapsed() < MINUTE, "an extension beyond 12 h is accepted"),
            Err(QueueError::Invalid(_)) => break,
            Err(error) => panic!("{error}"),
        }
    }
    queue
        .delete(&name, &receipt)
        .await
        .expect("what is refused leaves the receipt as it is");
}
