//! Sends of several messages at once.

use shared::queue::{MAX_BODY_BYTES, OutgoingMessage, QueueError, QueueName};

use crate::adapters::{Adapter, bodies, fifo, take, unique};

fn message(group: &str, body: &str) -> OutgoingMessage {
    OutgoingMessage::fifo(body, group, unique())
}

pub async fn a_batch_keeps_the_order_of_each_group(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    let batch = |from: usize| {
        let messages = (from..from + 10).map(|n| message(["a", "b"][n % 2], &n.to_string()));
        messages.collect::<Vec<_>>()
    };
    for from in [0, 10] {
        let sent = queue.send_batch(&name, batch(from)).await;
        let ids: Result<std::collections::HashSet<_>, _> = sent
            .into_iter()
            .map(|sent| sent.map(|sent| sent.message_id))
            .collect();
        assert_eq!(ids.expect("all are sent").len(), 10, "each has its own id");
    }
    let mut seen = Vec::new();
    while let Some(received) = take(&*queue, &name, 1).await.pop() {
        let number: usize = received.body.parse().expect("the body is its number");
        seen.push(number);
        queue.delete(&name, &received.receipt).await.expect("fresh");
    }
    let of = |parity| seen.iter().copied().filter(move |n| n % 2 == parity);
    assert!(
        of(0).eq((0..20).step_by(2)) && of(1).eq((1..20).step_by(2)),
        "{seen:?}"
    );
}

pub async fn each_message_of_a_batch_has_its_own_answer(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    let first = message("a", "first");
    let twice = first.clone();
    let batch = vec![first, message("a", "\u{7}"), message("b", "last"), twice];
    let sent = queue.send_batch(&name, batch).await;
    assert!(
        matches!(&sent[..], [Ok(_), Err(QueueError::Invalid(_)), Ok(_), Ok(_)]),
        "{sent:?}"
    );
    let mut received = take(&*queue, &name, 10).await;
    received.sort_by(|one, other| one.body.cmp(&other.body));
    assert_eq!(
        bodies(&received),
        ["first", "last"],
        "a duplicate is accepted and dropped"
    );
}

pub async fn a_batch_that_is_too_large_is_refused_as_a_whole(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    assert!(queue.send_batch(&name, Vec::new()).await.is_empty());
    let many = (0..11).map(|n| message("a", &n.to_string())).collect();
    let sent = queue.send_batch(&name, many).await;
    assert!(
        sent.len() == 11
            && sent
                .iter()
                .all(|sent| matches!(sent, Err(QueueError::Invalid(_))))
    );
    let half = "x".repeat(MAX_BODY_BYTES / 2);
    let large = vec![message("a", &half), message("a", &format!("{half}x"))];
    let sent = queue.send_batch(&name, large).await;
    assert!(
        sent.len() == 2
            && sent
                .iter()
                .all(|sent| matches!(sent, Err(QueueError::TooLarge { .. })))
    );
    assert!(take(&*queue, &name, 10).await.is_empty(), "nothing got through");
    let largest = vec![message("a", &half), message("b", &half)];
    let sent = queue.send_batch(&name, largest).await;
    assert!(
        sent.iter().all(Result::is_ok),
        "the limit itself is allowed: {sent:?}"
    );
}

pub async fn a_batch_to_an_unknown_queue_names_it(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = QueueName::new(format!("{}.fifo", unique())).expect("a queue name");
    let sent = queue
        .send_batch(&name, vec![message("a", "x"), message("a", "y")])
        .await;
    let is_named =
        |sent: &Result<_, _>| matches!(sent, Err(QueueError::NoSuchQueue(missing)) if *missing == name);
    assert!(sent.len() == 2 && sent.iter().all(is_named), "{sent:?}");
}
