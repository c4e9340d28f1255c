//! Order within a group, independence of groups, deduplication.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::queue::{OutgoingMessage, ReceiveOptions};
use tokio_util::sync::CancellationToken;

use crate::adapters::{Adapter, bodies, fifo, send, take};

/// Groups of the concurrency case.
const GROUPS: usize = 16;

pub async fn keeps_the_order_of_each_group(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    for number in 0..24 {
        send(&*queue, &name, ["a", "b", "c"][number % 3], &number.to_string()).await;
    }
    let mut seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for _ in 0..24 {
        for message in take(&*queue, &name, 2).await {
            let group = message.group.clone().expect("a FIFO message has its group");
            seen.entry(group)
                .or_default()
                .push(message.body.parse().expect("the body is its number"));
            queue
                .delete(&name, &message.receipt)
                .await
                .expect("the receipt is fresh");
        }
    }
    for (start, group) in ["a", "b", "c"].iter().enumerate() {
        let expected: Vec<usize> = (start..24).step_by(3).collect();
        assert_eq!(seen[*group], expected, "group {group}");
    }
}

pub async fn a_group_in_flight_is_blocked_and_others_are_not(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
        send(&*queue, &name, group, body).await;
    }
    let first = take(&*queue, &name, 1).await;
    assert_eq!(bodies(&first), ["a1"]);
    assert_eq!(bodies(&take(&*queue, &name, 10).await), ["b1"], "a2 waits for a1");
    queue
        .delete(&name, &first[0].receipt)
        .await
        .expect("the receipt is fresh");
    assert_eq!(bodies(&take(&*queue, &name, 10).await), ["a2"]);
}

pub async fn a_receive_may_take_several_of_a_group(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    for number in 0..12 {
        send(&*queue, &name, "a", &number.to_string()).await;
    }
    let ten = take(&*queue, &name, 10).await;
    assert_eq!(bodies(&ten), ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    // All but one are done: the group stays blocked for the last.
    for message in &ten[..9] {
        queue
            .delete(&name, &message.receipt)
            .await
            .expect("the receipt is fresh");
    }
    assert!(take(&*queue, &name, 10).await.is_empty());
    queue
        .delete(&name, &ten[9].receipt)
        .await
        .expect("the receipt is fresh");
    assert_eq!(bodies(&take(&*queue, &name, 10).await), ["10", "11"]);
}

pub async fn a_returned_message_keeps_its_place(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    send(&*queue, &name, "a", "first").await;
    send(&*queue, &name, "a", "second").await;
    let first = take(&*queue, &name, 1).await.remove(0);
    queue
        .extend(&name, &first.receipt, Duration::ZERO)
        .await
        .expect("the receipt is fresh");
    let both = take(&*queue, &name, 2).await;
    assert_eq!(bodies(&both), ["first", "second"]);
    assert_eq!((both[0].receive_count, both[1].receive_count), (2, 1));
}

pub async fn a_duplicate_is_accepted_and_dropped(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    let first = queue
        .send(&name, OutgoingMessage::fifo("once", "a", "id-1"))
        .await
        .expect("accepted");
    let second = queue
        .send(&name, OutgoingMessage::fifo("twice", "a", "id-1"))
        .await
        .expect("accepted");
    assert_eq!(first.message_id, second.message_id);
    assert_ne!(first.duplicate, Some(true));
    assert_ne!(second.duplicate, Some(false));
    let received = take(&*queue, &name, 10).await;
    assert_eq!(bodies(&received), ["once"]);
    assert_eq!(received[0].message_id, first.message_id);
    // The window counts from the send: a message that is done already still makes the next one a duplicate.
    queue
        .delete(&name, &received[0].receipt)
        .await
        .expect("the receipt is fresh");
    queue
        .send(&name, OutgoingMessage::fifo("again", "a", "id-1"))
        .await
        .expect("accepted");
    assert!(take(&*queue, &name, 10).await.is_empty());
}

pub async fn deduplication_counts_per_group(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    for group in ["a", "b"] {
        queue
            .send(&name, OutgoingMessage::fifo(group, group, "same-id"))
            .await
            .expect("accepted");
    }
    let received = take(&*queue, &name, 10).await;
    let groups: HashSet<&str> = bodies(&received).into_iter().collect();
    assert_eq!(groups, HashSet::from(["a", "b"]));
}

pub async fn eight_consumers_handle_each_message_once(adapter: &mut dyn Adapter) {
    const MESSAGES: usize = 160;
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    let handled: Arc<Mutex<HashMap<usize, Vec<usize>>>> = Arc::default();
    let done = CancellationToken::new();
    let consumers: Vec<_> = (0..8)
        .map(|_| {
            let (queue, name, handled, done) = (
                Arc::clone(&queue),
                name.clone(),
                Arc::clone(&handled),
                done.clone(),
            );
            tokio::spawn(async move {
                let options = ReceiveOptions {
                    max: 3,
                    wait: Duration::from_secs(1),
                    visibility: Duration::from_mins(1),
                };
                while !done.is_cancelled() {
                    for message in queue
                        .receive(&name, options)
                        .await
                        .expect("a receive is answered")
                    {
                        let number: usize = message.body.parse().expect("the body is its number");
                        if note(&handled, number) == MESSAGES {
                            done.cancel();
                        }
                        queue
                            .delete(&name, &message.receipt)
                            .await
                            .expect("the receipt is fresh");
                    }
                }
            })
        })
        .collect();
    for number in 0..MESSAGES {
        send(
            &*queue,
            &name,
            &(number % GROUPS).to_string(),
            &number.to_string(),
        )
        .await;
    }
    tokio::time::timeout(Duration::from_mins(1), done.cancelled())
        .await
        .expect("all is handled within 60 s");
    for consumer in consumers {
        consumer.await.expect("no consumer panics");
    }
    let handled = handled.lock().expect("no consumer panics");
    for group in 0..GROUPS {
        let expected: Vec<usize> = (group..MESSAGES).step_by(GROUPS).collect();
        assert_eq!(handled[&group], expected, "group {group}");
    }
}

/// Notes a handled message under its group, and says how many there are by now.
fn note(handled: &Mutex<HashMap<usize, Vec<usize>>>, number: usize) -> usize {
    let mut handled = handled.lock().expect("no consumer panics");
    handled.entry(number % GROUPS).or_default().push(number);
    handled.values().map(Vec::len).sum()
}
