//! What an event consumes that is not taken at once: of the table, of the bucket, and of the queues.

use std::sync::Arc;

use chrono::TimeDelta;
use functions::webhook_delivery::WebhooksState;
use shared::domain::instance::Instance;
use shared::queue::QueueName;
use testbed::queues::{Counted, Requests, Through};
use testbed::relay::Relay;
use testbed::relay::meter::{Bill, Charge, Units};
use testbed::table::patient;

use crate::receiver::{Does, Receiver};
use crate::world::{World, settings};

/// A function that is warm: the data key is in memory, so no row has a request to KMS.
struct Scene {
    world: World,
    receiver: Receiver,
    instance: Instance,
    relay: Relay,
    queue: Arc<Through<Counted>>,
    state: WebhooksState,
}

/// What an invocation consumes. Lambda receives its messages, and deletes them, by itself.
#[derive(Debug, PartialEq, Eq)]
struct Cost {
    bill: Bill,
    of_bucket: u64,
    of_queue: Requests,
}

/// The webhook and the instance, which are read in one request.
const PARTIES: (&str, u64, u64, u64) = ("BatchGetItem", 1, 0, 2);

/// The charges of these items: calls, write units and half read units.
fn bill<const N: usize>(charges: [(&str, u64, u64, u64); N]) -> Bill {
    let charge = |(of, calls, writes, half_reads): (&str, _, _, _)| {
        let units = Units { writes, half_reads };
        (of.to_owned(), Charge { calls, units })
    };
    charges.into_iter().map(charge).collect()
}

/// So many messages put into queues, and no other request to them.
fn sends(sends: u64) -> Requests {
    Requests {
        sends,
        ..Requests::default()
    }
}

impl Scene {
    async fn new() -> Self {
        let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
        let instance = world.hooked("sales", &receiver.url()).await;
        let relay = Relay::metering(&world.database.endpoint).await;
        let queue = Arc::new(Through(Counted::new(world.queue.clone())));
        let state = world.another(&patient(relay.endpoint()), queue.clone(), settings());
        let scene = Self {
            world,
            receiver,
            instance,
            relay,
            queue,
            state,
        };
        scene.event("warm").await;
        scene
    }

    /// A text has come in, and its event is tried.
    async fn event(&self, text: &str) -> Cost {
        self.world.tell(&self.instance, "15550100001", text).await;
        self.work(&self.world.names.events()).await
    }

    /// The event that failed is due again.
    async fn retry_after(&self, pause: TimeDelta) -> Cost {
        self.world.clock.advance(pause);
        self.work(&self.world.names.events_retry()).await
    }

    /// What a queue has is done.
    async fn work(&self, name: &QueueName) -> Cost {
        self.relay.take_bill();
        self.queue.take();
        let requests = self.state.bucket.requests();
        let invoked = self.world.invoke(&self.state, name).await;
        let failures = invoked.expect("a batch").batch_item_failures;
        assert!(failures.is_empty(), "{failures:?}");
        Cost {
            bill: self.relay.take_bill(),
            of_bucket: self.state.bucket.requests() - requests,
            of_queue: self.queue.take(),
        }
    }
}

/// How the endpoint does is noted, the event goes into the bucket, and into the retry queue.
#[tokio::test]
async fn an_attempt_that_fails_costs_a_write_unit_more_and_each_further_one_claims_the_delivery() {
    let scene = Scene::new().await;
    scene.receiver.now(Does::status(500));
    let first = Cost {
        bill: bill([PARTIES, ("dlv", 1, 2, 0), ("hook", 1, 1, 0)]),
        of_bucket: 1,
        of_queue: sends(1),
    };
    assert_eq!(scene.event("hello").await, first);
    let another = Cost {
        bill: bill([PARTIES, ("dlv", 3, 4, 2), ("hook", 1, 1, 0)]),
        of_bucket: 1,
        of_queue: sends(1),
    };
    assert_eq!(scene.retry_after(TimeDelta::seconds(6)).await, another);
    assert_eq!(scene.retry_after(TimeDelta::minutes(6)).await, another);
    // Half an hour is longer than a queue hides anything.
    let waiting = Cost {
        bill: Bill::default(),
        of_bucket: 0,
        of_queue: sends(1),
    };
    assert_eq!(scene.retry_after(TimeDelta::minutes(15)).await, waiting);
    // That the endpoint does well again is noted as well.
    scene.receiver.now(Does::status(200));
    let taken = Cost {
        of_queue: sends(0),
        ..another
    };
    assert_eq!(scene.retry_after(TimeDelta::minutes(20)).await, taken);
}

/// Five failures in a row open the breaker. What comes then is written and put off, and nobody connects.
#[tokio::test]
async fn an_attempt_that_an_open_breaker_spares_costs_less_than_one_that_fails() {
    let scene = Scene::new().await;
    scene.receiver.now(Does::status(500));
    for n in 0..5 {
        scene.event(&format!("hello {n}")).await;
    }
    let connections = scene.receiver.connections();
    let spared = Cost {
        bill: bill([PARTIES, ("dlv", 1, 2, 0)]),
        of_bucket: 1,
        of_queue: sends(1),
    };
    assert_eq!(scene.event("spared").await, spared);
    assert_eq!(scene.receiver.connections(), connections);
}
