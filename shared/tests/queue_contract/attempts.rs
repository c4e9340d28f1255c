//! The attempts of one call over SQS's protocol.

use std::time::Duration;

use shared::queue::sqs::SqsQueue;
use shared::queue::{OutgoingMessage, Queue, ReceiveOptions};
use testbed::relay::{Fate, On, Relay};
use testbed::sqs::SqsStandIn;

use crate::adapters::{Adapter, Embedded, bodies, client, fifo, take};

/// A connection went silent: what the first attempt did is not known, and the call has time for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_whose_first_answer_never_comes_is_sent_again_within_its_time() {
    let behind = Embedded::start().await;
    let stand_in = SqsStandIn::over(behind.queue()).await;
    let relay = Relay::before(stand_in.endpoint()).await;
    let queue = SqsQueue::new(&client(relay.endpoint()));
    let name = fifo(&queue).await;
    for fate in [Fate::STALLED, Fate::PASS.unanswered()] {
        let rule = relay.plan(On::operation("SendMessage"), [fate]);
        let message = OutgoingMessage::fifo("x", "group", "one");
        queue.send(&name, message).await.expect("sent by another attempt");
        assert!(rule.is_done());
    }
    assert_eq!(bodies(&take(&queue, &name, 10).await), ["x"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_waits_longer_than_an_attempt() {
    let behind = Embedded::start().await;
    let stand_in = SqsStandIn::over(behind.queue()).await;
    let relay = Relay::before(stand_in.endpoint()).await;
    let queue = SqsQueue::new(&client(relay.endpoint()));
    let name = fifo(&queue).await;
    let polls = relay.watch(On::operation("ReceiveMessage"));
    let options = ReceiveOptions {
        max: 1,
        wait: Duration::from_secs(3),
        visibility: Duration::from_secs(30),
    };
    let received = queue.receive(&name, options).await.expect("answered");
    assert_eq!((received.len(), polls.hits()), (0, 1), "one attempt, to its end");
}
