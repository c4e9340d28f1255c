//! Long polls and delays.

use std::time::{Duration, Instant};

use shared::queue::{OutgoingMessage, ReceiveOptions};

use crate::adapters::{Adapter, bodies, fifo, send, standard, take, wait_for_one};

const SECOND: Duration = Duration::from_secs(1);
const LONG: ReceiveOptions = ReceiveOptions {
    max: 1,
    wait: Duration::from_secs(20),
    visibility: Duration::from_mins(1),
};

pub async fn a_poll_wakes_for_a_send(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    for name in [fifo(&*queue).await, standard(&*queue).await] {
        let started = Instant::now();
        let (received, ()) = tokio::join!(queue.receive(&name, LONG), send(&*queue, &name, "a", "x"));
        assert_eq!(bodies(&received.expect("answered")), ["x"], "{name}");
        assert!(
            started.elapsed() < LONG.wait,
            "{name}: the poll did not wait for its end"
        );
    }
}

pub async fn a_poll_wakes_when_a_group_is_free_again(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    send(&*queue, &name, "a", "first").await;
    send(&*queue, &name, "a", "second").await;
    let first = take(&*queue, &name, 1).await.remove(0);
    let started = Instant::now();
    let release = queue.extend(&name, &first.receipt, Duration::ZERO);
    let (again, released) = tokio::join!(queue.receive(&name, LONG), release);
    released.expect("the receipt is fresh");
    let again = again.expect("answered").remove(0);
    assert_eq!(again.body, "first");
    assert!(started.elapsed() < LONG.wait, "the poll did not wait for its end");
    let started = Instant::now();
    let (next, deleted) = tokio::join!(queue.receive(&name, LONG), queue.delete(&name, &again.receipt));
    deleted.expect("the receipt is fresh");
    assert_eq!(bodies(&next.expect("answered")), ["second"]);
    assert!(
        started.elapsed() < LONG.wait,
        "nor did the other one wait for its end"
    );
}

pub async fn a_poll_ends_empty_after_its_wait(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = fifo(&*queue).await;
    let started = Instant::now();
    let options = ReceiveOptions { wait: SECOND, ..LONG };
    assert!(queue.receive(&name, options).await.expect("answered").is_empty());
    assert!(started.elapsed() >= Duration::from_millis(900));
    assert!(started.elapsed() < LONG.wait);
}

pub async fn a_delayed_message_comes_after_its_delay(adapter: &mut dyn Adapter) {
    let queue = adapter.queue();
    let name = standard(&*queue).await;
    let started = Instant::now();
    let later = OutgoingMessage::standard("later").delayed(2 * SECOND);
    queue.send(&name, later).await.expect("accepted");
    send(&*queue, &name, "", "now").await;
    let mut came = Vec::new();
    for _ in 0..2 {
        let message = wait_for_one(&*queue, &name, LONG.visibility).await;
        assert!(message.body == "now" || started.elapsed() >= Duration::from_millis(1_900));
        came.push(message.body);
    }
    came.sort_unstable();
    assert_eq!(came, ["later", "now"]);
}
