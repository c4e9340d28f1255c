//! The same over queues that this process consumes by itself, as the local stack does.

use std::sync::Arc;
use std::time::Duration;

use shared::queue::consumer::{Consumer, Held};
use shared::queue::{QueueNames, Received};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dispatch::{Source, SourceQueue};
use super::line::{InOrder, grouped};
use super::state::WebhooksState;

/// How long messages are hidden and held: a process that is killed delays them by as much. Lambda does not extend that, so the
/// queues' own is longer.
const VISIBILITY: Duration = Duration::from_secs(30);

/// How many groups are in hand at once, of both queues. What waits for a place among the attempts gives up after a second, so
/// this many are never under way.
const IN_HAND: usize = 4_096;

/// Takes from both queues of a network until it is stopped, and ends what it has begun.
pub async fn run(state: WebhooksState, names: QueueNames, stop: CancellationToken) {
    let (tasks, in_hand) = (TaskTracker::new(), Arc::new(Semaphore::new(IN_HAND)));
    let of = |queue| consume(&state, &names, queue, &stop, &tasks, &in_hand);
    tokio::join!(of(SourceQueue::Events), of(SourceQueue::Errands));
    tasks.close();
    tasks.wait().await;
}

async fn consume(
    state: &WebhooksState,
    names: &QueueNames,
    queue: SourceQueue,
    stop: &CancellationToken,
    tasks: &TaskTracker,
    in_hand: &Arc<Semaphore>,
) {
    let name = match queue {
        SourceQueue::Events => names.events(),
        SourceQueue::Errands => names.events_retry(),
    };
    let source = Arc::new(Source {
        names: names.clone(),
        queue,
    });
    let consumer = Consumer::new(Arc::clone(&state.queue), name, VISIBILITY);
    let take = |messages: Vec<Received>| {
        let (consumer, source) = (&consumer, &source);
        async move {
            for group in grouped(messages) {
                let place = Arc::clone(in_hand).acquire_owned().await;
                let (state, consumer, source) = (state.clone(), consumer.clone(), Arc::clone(source));
                tasks.spawn(async move {
                    let _place = place;
                    finish(&state, &consumer, &source, &group).await;
                });
            }
        }
    };
    consumer.run(stop.cancelled(), take).await;
}

/// Handles the messages of a group one after the other, and keeps those that wait hidden. What is behind one that stays is not
/// handled.
async fn finish(state: &WebhooksState, consumer: &Consumer, source: &Source, group: &[Received]) {
    let held = Held::new(consumer.terms());
    for message in group {
        held.take(message);
    }
    let handling = async {
        let mut order = InOrder::default();
        for message in group {
            let done = order.handle(state, source, message).await;
            let Some(receipt) = held.let_go(&message.message_id) else {
                continue;
            };
            consumer.settle(&receipt, done).await;
        }
    };
    tokio::select! {
        () = handling => {}
        () = held.keep(consumer.queue(), consumer.name()) => unreachable!("it keeps for ever"),
    }
}
