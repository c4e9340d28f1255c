//! Messages that nobody manages to handle.

use std::time::Duration;

use shared::queue::deployment::ensure_all;
use shared::queue::{QueueName, QueueNames};

use crate::adapters::{Adapter, attributes, bodies, fifo, send, standard, take, unique, wait_for_one};

const MINUTE: Duration = Duration::from_mins(1);

async fn moves(adapter: &mut dyn Adapter, source: QueueName, dead: QueueName) {
    let queue = adapter.queue();
    queue
        .ensure(&source, attributes(Some((dead.clone(), 2))))
        .await
        .expect("the queue can be created");
    send(&*queue, &source, "a", "poison").await;
    send(&*queue, &source, "a", "fine").await;
    let mut poison = None;
    // A standard queue may hand out `fine` first; it is put aside by holding it.
    let mut deliveries = 0;
    while deliveries < 2 {
        let message = wait_for_one(&*queue, &source, MINUTE).await;
        if message.body == "poison" {
            deliveries += 1;
            assert_eq!(message.receive_count, deliveries);
            queue
                .extend(&source, &message.receipt, Duration::ZERO)
                .await
                .expect("the receipt is fresh");
            poison = Some(message);
        }
    }
    let poison = poison.expect("it was delivered twice");
    let rest = take(&*queue, &source, 10).await;
    assert!(
        rest.iter().all(|message| message.body == "fine"),
        "{:?}",
        bodies(&rest)
    );
    let parked = wait_for_one(&*queue, &dead, MINUTE).await;
    assert_eq!(parked.body, "poison");
    assert_eq!(
        parked.message_id, poison.message_id,
        "a message keeps its id when it moves"
    );
    assert_eq!(parked.group, poison.group, "and its group");
    queue
        .delete(&dead, &parked.receipt)
        .await
        .expect("the receipt is fresh");
    assert!(
        queue.delete(&source, &poison.receipt).await.is_err(),
        "its place in the source is gone"
    );
}

pub async fn a_fifo_message_moves_after_its_last_delivery(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let dead = fifo(&*queue).await;
    let source = QueueName::new(format!("{}.fifo", unique())).expect("a queue name");
    moves(adapter, source, dead).await;
}

pub async fn a_standard_message_moves_after_its_last_delivery(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let dead = standard(&*queue).await;
    let source = QueueName::new(unique()).expect("a queue name");
    moves(adapter, source, dead).await;
}

pub async fn every_queue_of_a_deployment_can_be_created(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let prefix = format!("t{:016x}", rand::random::<u64>());
    let names = QueueNames::new(prefix, "sandbox").expect("queue names");
    for _ in 0..2 {
        ensure_all(&*queue, &names, 2)
            .await
            .expect("all can be created, and again");
    }
    send(&*queue, &names.sends(1), "instance#0", "job").await;
    assert_eq!(bodies(&take(&*queue, &names.sends(1), 1).await), ["job"]);
}
