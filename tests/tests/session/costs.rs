//! What session state costs when a session begins, and in a long conversation.

use shared::domain::content::Said;
use shared::ids::MessageId;

use testbed::relay::meter::sum;
use testbed::relay::{On, Relay};
use testbed::table::{patient, table};
use testbed::wait::until;

use crate::world::{World, to};

const MESSAGES: u8 = 200;

/// What a session asks of the table from its begin to the last thing that the library does by itself after a login, and to its
/// end in order, at most. The test prints what it was.
const REQUESTS: u64 = 20;
const WRITE_UNITS: u64 = 12;
/// More than half of it is a look at all one-time prekeys, for the library's log.
const READ_UNITS: u64 = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_begins_on_stored_state_asks_little_of_the_table() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    world.paired(&own, 1).await.connection.disconnect().await;
    world.quiet().await;
    let meter = Relay::metering(&world.database.endpoint).await;
    let bill = async || {
        let pruned = meter.watch(On::operation("Query").with("\"tc#\""));
        let state = world.state_in(&patient(meter.endpoint()), 1);
        let mut session = world.begin_on(state).await;
        session.connected().await;
        until("the last thing after a login", async || {
            (pruned.hits() > 0).then_some(())
        })
        .await;
        session.connection.disconnect().await;
        world.quiet().await;
        meter.settled_bill().await
    };
    // The first login after a pairing learns what does not change from then on.
    let first = bill().await;
    println!("after its pairing: {first:?}");

    let reads = |entry: &'static str| meter.watch(On::operation("GetItem").with("sess#").with(entry));
    let by_itself = [
        ("the key of secrets", reads("\"own#message-secret\"")),
        ("the device", reads("\"device\"")),
        ("a session with the own phone", reads("\"s#")),
    ];
    let together = meter.watch(On::operation("BatchGetItem").with("\"own#message-secret\""));
    let buffer = meter.watch(On::any().with("\"in#"));
    let saves = meter.watch(On::operation("PutItem").with("\"device\""));
    let later = bill().await;
    println!("later: {later:?}, with {} saves of the device", saves.hits());
    for (what, read) in by_itself {
        assert_eq!(read.hits(), 0, "{what} is read by itself");
    }
    assert_eq!(together.hits(), 1);
    assert_eq!(buffer.hits(), 0, "the library's probe is none of the table's");
    assert!(saves.hits() <= 2, "{} saves of the device", saves.hits());
    let all = sum(&later, |_| true);
    assert!(all.calls <= REQUESTS, "{} requests", all.calls);
    let (writes, half_reads) = (all.units.writes, all.units.half_reads);
    assert!(writes <= WRITE_UNITS, "{writes} write units");
    assert!(half_reads <= 2 * READ_UNITS, "{half_reads} halves of a read unit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_in_a_long_conversation_writes_its_retry_copy_and_little_more() {
    let world = World::new().await;
    let (own, other) = (world.phone("Instance").await, world.phone("Bob").await);
    world.paired(&own, 1).await.connection.disconnect().await;
    let meter = Relay::metering(&world.database.endpoint).await;
    let state = world.state_in(&table(meter.endpoint()), 1);
    let mut session = world.begin_on(state).await;
    session.connected().await;
    let send = async |session: &mut crate::world::Running, n: u8| {
        let message = MessageId::from_bytes([n; 16]);
        session
            .connection
            .send(message, &to(&other), &Said::text("a text like any other"))
            .await
            .expect("on the wire");
        assert_eq!(session.acknowledged(&message.to_whatsapp()).await, None);
    };
    // The conversation's first messages set up its sessions.
    send(&mut session, 255).await;
    world.send(&other, &own, "hello yourself").await;
    session.committed().await;
    send(&mut session, 254).await;
    println!("to begin: {:?}", meter.take_bill());

    for n in 0..MESSAGES {
        send(&mut session, n).await;
    }
    let outgoing = meter.take_bill();
    println!("{MESSAGES} texts out: {outgoing:?}");
    let units = sum(&outgoing, |_| true).units.writes;
    assert!(
        units <= 2 * u64::from(MESSAGES),
        "{units} write units for {MESSAGES} texts out"
    );

    for n in 0..MESSAGES {
        world.send(&other, &own, &format!("incoming {n}")).await;
        session.committed().await;
    }
    let incoming = meter.take_bill();
    println!("{MESSAGES} texts in: {incoming:?}");
    let units = sum(&incoming, |_| true).units.writes;
    assert!(
        units <= 3 * u64::from(MESSAGES) + 3,
        "{units} write units for {MESSAGES} texts in"
    );
}
