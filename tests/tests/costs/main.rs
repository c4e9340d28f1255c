//! What messages cost, as consumed capacity: the bounds that the design keeps, and the
//! figures of today's code.
//!
//! Session state is left out here; `session` measures it over a long conversation.

mod kept;
mod media;
mod routes;
mod scheduled;
mod world;

use serde_json::json;
use shared::ids::InstanceId;
use testbed::caller::Caller;
use testbed::relay::meter::{Bill, Units, sum};
use testbed::wait::until;
use tests::flow::{exchange, pair, unique};
use world::World;

/// Each kind of work is done so often, and its figure is the median: where a daemon is
/// faster with a message than the API with its record, that one costs a write more.
const TIMES: usize = 5;

/// What a kind of work may cost, and what it costs today.
struct Row {
    work: &'static str,
    most: Cost,
    /// `None` where that depends on how fast a daemon answers; then the cheapest counts.
    today: Option<Cost>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    units: Units,
    /// Messages put into queues.
    sends: u64,
}

const fn cost(writes: u64, half_reads: u64, sends: u64) -> Cost {
    Cost {
        units: Units { writes, half_reads },
        sends,
    }
}

const ROWS: [Row; 7] = [
    Row {
        work: "accept a message",
        most: cost(4, 4, 1),
        today: Some(cost(2, 3, 1)),
    },
    Row {
        work: "accept a message with an idempotency key",
        most: cost(5, 4, 1),
        today: Some(cost(3, 3, 1)),
    },
    Row {
        work: "a message's life to `read`",
        most: cost(8, 6, 1),
        today: Some(cost(8, 5, 1)),
    },
    Row {
        work: "an incoming message that nobody is told of",
        most: cost(3, 0, 0),
        today: Some(cost(3, 0, 0)),
    },
    // One after the other, each event has a request to itself; under load ten share one.
    Row {
        work: "a message's life to `read` with an event of each state",
        most: cost(8, 6, 4),
        today: Some(cost(8, 5, 4)),
    },
    Row {
        work: "an incoming message with its event",
        most: cost(3, 0, 1),
        today: Some(cost(3, 0, 1)),
    },
    Row {
        work: "a question and its answer",
        most: cost(2, 6, 1),
        today: None,
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_cost_what_the_design_says() {
    let world = World::start().await;
    let paired = pair(&world.bases, &world.phones).await;
    // The first messages make data keys and fill caches.
    exchange(&paired, &world.phones).await;
    exchange(&paired, &world.phones).await;
    let instance = world.instance(&paired).await;

    let mut measured: [Vec<Cost>; ROWS.len()] = Default::default();
    for _ in 0..TIMES {
        let (accepted, life) = outgoing(&world, &paired, instance, None, 0).await;
        measured[0].push(accepted);
        measured[2].push(life);
        let (accepted, _) = outgoing(&world, &paired, instance, Some(unique()), 0).await;
        measured[1].push(accepted);
        measured[3].push(incoming(&world, &paired, instance, 0).await);
        measured[6].push(question(&world, &paired).await);
    }
    world.listen(instance).await;
    for _ in 0..TIMES {
        let (_, life) = outgoing(&world, &paired, instance, None, 1).await;
        measured[4].push(life);
        measured[5].push(incoming(&world, &paired, instance, 1).await);
    }
    for (row, mut costs) in ROWS.iter().zip(measured) {
        println!("{}: {costs:?}", row.work);
        costs.sort();
        let counts = if row.today.is_some() { TIMES / 2 } else { 0 };
        let figure = costs[counts];
        let (units, most) = (figure.units, row.most.units);
        assert!(
            units.writes <= most.writes
                && units.half_reads <= most.half_reads
                && figure.sends <= row.most.sends,
            "{} costs {figure:?}, more than {:?}",
            row.work,
            row.most
        );
        if let Some(today) = row.today {
            assert_eq!(figure, today, "{}: pin the new figure", row.work);
        }
    }
    world.daemon_kept_to_its_rights();
}

/// A read that is a moment old.
const ONE_LOOK: Units = Units {
    writes: 0,
    half_reads: 1,
};

/// Session state has a row of its own; beats and leases are a daemon's, not a message's. A key's rate is written down now and
/// then, whatever it is used for.
fn is_a_messages(prefix: &str) -> bool {
    !matches!(prefix, "sess" | "leases" | "daemons" | "rate")
}

fn total(bills: &[&Bill]) -> Units {
    let mut all = Units::default();
    for bill in bills {
        all += sum(bill, is_a_messages).units;
    }
    all
}

/// A text from its request to `read`: the cost of its acceptance, and of all of it. Each state is told in so many events.
/// The recipient's phone comes online once the text is `sent`: a receipt that overtakes the acknowledgement is one write for both.
async fn outgoing(
    world: &World,
    paired: &tests::flow::Paired,
    instance: InstanceId,
    idempotency_key: Option<String>,
    events: u64,
) -> (Cost, Cost) {
    let counted = world.counts(instance).await.read;
    let sends = world.queue.sends();
    world.api_meter.settled_bill().await;
    world.daemon_meter.settled_bill().await;
    world.phone_is(&paired.other, "offline").await;
    let text = format!("Hello {}", unique());
    let message = post(&paired.key, &paired.other, &text, idempotency_key.as_deref()).await;
    let mut accepting = world.api_meter.settled_bill().await;
    // Who the recipient is, is read once in some seconds. On a busy machine that is with each message.
    let read = accepting.remove("people").unwrap_or_default();
    assert!(read.units <= ONE_LOOK, "{read:?}");
    let accepted = Cost {
        units: total(&[&accepting]),
        sends: world.queue.sends() - sends,
    };
    until("its sending, and what is told of it", async || {
        let is_sent = world.state(instance, &message).await == "sent";
        (is_sent && world.queue.sends() >= sends + 1 + events).then_some(())
    })
    .await;
    world.phone_is(&paired.other, "online").await;
    world.phones.until_shown(&paired.other, &text).await;
    until("its delivery", async || {
        (world.state(instance, &message).await == "delivered").then_some(())
    })
    .await;
    world.phones.read_all(&paired.other).await;
    until("its count as read", async || {
        (world.counts(instance).await.read > counted).then_some(())
    })
    .await;
    assert_eq!(world.state(instance, &message).await, "read");
    let living = world.daemon_meter.settled_bill().await;
    println!("accept: {accepting:?}, then: {living:?}");
    let life = Cost {
        units: total(&[&accepting, &living]),
        sends: world.queue.sends() - sends,
    };
    (accepted, life)
}

async fn post(key: &Caller, to: &str, text: &str, idempotency_key: Option<&str>) -> String {
    let body = json!({"to": to, "text": text});
    let key = match idempotency_key {
        Some(value) => &key.with_header("idempotency-key", value),
        None => key,
    };
    key.send("text", body).await.data(202)["id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

/// A question that changes something, which is the dearer kind: it is marked as begun before it is answered. One look for the
/// answer is in it: there are as many as it takes time.
async fn question(world: &World, paired: &tests::flow::Paired) -> Cost {
    let sends = world.queue.sends();
    world.api_meter.settled_bill().await;
    world.daemon_meter.settled_bill().await;
    let path = format!("/api/contacts/{}/block", paired.other);
    paired.key.delete(&path).await.data(200);
    let (mut asking, answering) = (
        world.api_meter.settled_bill().await,
        world.daemon_meter.settled_bill().await,
    );
    println!("ask: {asking:?}, answer: {answering:?}");
    let looks = asking.get_mut("ask").expect("a look");
    looks.units.half_reads /= looks.calls;
    Cost {
        units: total(&[&asking, &answering]),
        sends: world.queue.sends() - sends,
    }
}

/// A text from a phone to its count and its events, so many of them.
async fn incoming(world: &World, paired: &tests::flow::Paired, instance: InstanceId, events: u64) -> Cost {
    let counted = world.counts(instance).await.received;
    let sends = world.queue.sends();
    world.daemon_meter.settled_bill().await;
    world.phones.send(&paired.other, &paired.own, "And back").await;
    until("its event and its count", async || {
        let is_counted = world.counts(instance).await.received > counted;
        (is_counted && world.queue.sends() >= sends + events).then_some(())
    })
    .await;
    let bill = world.daemon_meter.settled_bill().await;
    println!("incoming: {bill:?}");
    Cost {
        units: total(&[&bill]),
        sends: world.queue.sends() - sends,
    }
}
