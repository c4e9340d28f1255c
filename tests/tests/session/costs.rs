//! What session state costs in a long conversation.

use shared::domain::content::Said;
use shared::ids::MessageId;

use testbed::relay::Relay;
use testbed::relay::meter::sum;
use testbed::table::table;

use crate::world::{World, to};

const MESSAGES: u8 = 200;

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
