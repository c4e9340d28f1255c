//! What an event consumes of the table.

use chrono::TimeDelta;
use testbed::relay::Relay;
use testbed::relay::meter::{Charge, Units};
use testbed::table::patient;

use crate::receiver::{Does, Receiver};
use crate::world::{World, settings};

/// What a place at a slow endpoint costs beside that: it is taken and left again.
#[tokio::test]
async fn an_event_to_a_slow_endpoint_costs_two_write_units_more() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let webhook = world.read(&instance).await;
    let until = world.now() + TimeDelta::minutes(5);
    let noted = world.webhooks().note_slow(&webhook, until).await;
    noted.expect("noted");
    let relay = Relay::metering(&world.database.endpoint).await;
    let state = world.another(&patient(relay.endpoint()), world.queue.clone(), settings());
    for text in ["warm", "hello"] {
        world.tell(&instance, "15550100001", text).await;
        relay.take_bill();
        world
            .invoke(&state, &world.names.events())
            .await
            .expect("a batch");
    }
    let charge = |calls, writes, half_reads| Charge {
        calls,
        units: Units { writes, half_reads },
    };
    let wanted = [
        ("BatchGetItem".to_owned(), charge(1, 0, 2)),
        ("dlv".to_owned(), charge(1, 2, 0)),
        ("hook".to_owned(), charge(3, 2, 1)),
    ];
    assert_eq!(relay.take_bill(), wanted.into());
}

/// DESIGN's row: a webhook delivered at the first attempt. The data key is in memory by then.
#[tokio::test]
async fn an_event_that_arrives_at_once_costs_two_write_units_and_a_read_unit() {
    let (world, receiver) = (World::new().await, Receiver::that(Does::status(200)).await);
    let instance = world.hooked("sales", &receiver.url()).await;
    let relay = Relay::metering(&world.database.endpoint).await;
    let state = world.another(&patient(relay.endpoint()), world.queue.clone(), settings());
    world.tell(&instance, "15550100001", "warm").await;
    world
        .invoke(&state, &world.names.events())
        .await
        .expect("a batch");
    relay.take_bill();
    let requests = world.state.bucket.requests();
    world.tell(&instance, "15550100001", "hello").await;
    world
        .invoke(&state, &world.names.events())
        .await
        .expect("a batch");
    let bill = relay.take_bill();
    let charge = |writes, half_reads| Charge {
        calls: 1,
        units: Units { writes, half_reads },
    };
    // The webhook and the instance are read in one request.
    let wanted = [
        ("BatchGetItem".to_owned(), charge(0, 2)),
        ("dlv".to_owned(), charge(2, 0)),
    ];
    assert_eq!(bill, wanted.into());
    assert_eq!(world.state.bucket.requests(), requests);
}
