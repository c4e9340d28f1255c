//! Messages to groups so large that the keys of their members are agreed upon before.

use std::sync::Arc;

use daemon::connection::{Connection, Crowd, ReceiptKind, SendError, SessionEvent};
use sandbox::script::{InboxQuery, NewGroup, NewPhone, Phone};
use sandbox::{Fault, Rule, Target};
use shared::domain::content::Said;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use testbed::relay::Relay;
use testbed::relay::meter::sum;
use testbed::table::table;
use testbed::wait::{DEADLINE, until};

use crate::statuses::{saved, text};
use crate::world::{Running, World, is, to};

/// All members but the account. The flow through the API has as many as a group may have.
const OTHERS: usize = 150;

/// A group of the account and so many others, one of whom has made it.
async fn crowd(world: &World, own: &str, others: usize) -> (Vec<Phone>, Recipient) {
    let mut phones = Vec::with_capacity(others);
    for _ in 0..others {
        phones.push(
            world
                .sandbox
                .create_phone(NewPhone::default())
                .await
                .expect("made"),
        );
    }
    let mut participants = vec![own.to_owned()];
    participants.extend(phones[1..].iter().map(|phone| phone.number().to_owned()));
    let group = NewGroup {
        subject: "Everybody".to_owned(),
        participants,
        description: None,
    };
    let group = phones[0].create_group(group).await.expect("made");
    (phones, group.id.parse().expect("a group"))
}

impl Running {
    /// Waits until so many people tell that they have a message.
    async fn delivered(&mut self, id: &str, people: usize) {
        let mut left = people;
        while left > 0 {
            self.until("a receipt", |event| match event {
                SessionEvent::Receipt {
                    kind: ReceiptKind::Delivered,
                    whatsapp_ids,
                    ..
                } if whatsapp_ids.iter().any(|one| one == id) => Some(()),
                _ => None,
            })
            .await;
            left -= 1;
        }
    }
}

/// The calls to the table since the last look.
fn calls(meter: &Relay) -> u64 {
    sum(&meter.take_bill(), |_| true).calls
}

/// Waits until an agreement costs nothing: it is done. What the session stores beside it is over soon.
async fn done_for_nothing(connection: &Arc<dyn Connection>, crowd: &Crowd, meter: &Relay) {
    until("an agreement that costs nothing", async || {
        calls(meter);
        connection.agree_on_keys(crowd).await.expect("agreed");
        (calls(meter) == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_many_are_agreed_upon_before_the_wire_and_once() {
    let world = World::new().await;
    let (own, friend) = (world.phone("Instance").await, world.phone("Friend").await);
    let (phones, group) = crowd(&world, &own, OTHERS).await;
    let everybody = Crowd::Group(group.clone());
    world.paired(&own, 1).await.connection.disconnect().await;
    let meter = Relay::metering(&world.database.endpoint).await;
    let state = world.state_in(&table(meter.endpoint()), 1);
    let mut session = world.begin_on(state).await;
    session.connected().await;
    let connection = session.connection.clone();

    // Keys are out of reach for a while, and that is no end.
    let faults = world.sandbox.faults();
    let refused = Rule {
        code: Some(503),
        ..Rule::new(Target::phone(&own), Fault::RefuseIq)
    };
    faults.add(refused).await.expect("added");
    is(&connection.agree_on_keys(&everybody).await, |agreed| {
        matches!(agreed, Err(SendError::Unavailable(_)))
    });
    faults.clear();
    // Meanwhile the account goes on with others.
    let (agreed, meanwhile) = tokio::join!(connection.agree_on_keys(&everybody), async {
        let message = MessageId::from_bytes([9; 16]);
        let (friend, said) = (to(&friend), Said::text("meanwhile"));
        connection
            .send(message, &friend, &said)
            .await
            .expect("on the wire");
        session.acknowledged(&message.to_whatsapp()).await
    });
    agreed.expect("agreed");
    assert_eq!(meanwhile, None);
    done_for_nothing(&connection, &everybody, &meter).await;

    let mut ids = Vec::new();
    for n in 0..2 {
        let message = MessageId::from_bytes([n; 16]);
        let said = Said::text(format!("to all, {n}"));
        connection
            .send(message, &group, &said)
            .await
            .expect("on the wire");
        let id = message.to_whatsapp();
        assert_eq!(session.acknowledged(&id).await, None);
        let on_the_wire = calls(&meter);
        // Each session is stored once more, since it goes on; nothing is read one by one.
        let most = if n == 0 { 2 * OTHERS as u64 } else { OTHERS as u64 };
        assert!(on_the_wire < most, "{on_the_wire} calls");
        session.delivered(&id, OTHERS).await;
        calls(&meter);
        ids.push(id);
    }
    for phone in &phones {
        let inbox = phone.inbox(InboxQuery::default()).await.expect("an inbox");
        let shown: Vec<_> = inbox.iter().map(|entry| entry.id.clone()).collect();
        assert_eq!(shown, ids, "each reads both, once");
    }

    // The next session finds that all have the key, and agrees upon nothing.
    connection.disconnect().await;
    let state = world.state_in(&table(meter.endpoint()), 2);
    let mut session = world.begin_on(state).await;
    session.connected().await;
    meter.take_bill();
    session
        .connection
        .agree_on_keys(&everybody)
        .await
        .expect("agreed");
    let writes = sum(&meter.take_bill(), |_| true).units.writes;
    assert!(writes < OTHERS as u64 / 10, "{writes} write units");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_many_who_see_a_status_are_agreed_upon_before_the_wire_and_once() {
    let world = World::new().await;
    let own = world.phone("Instance").await;
    let mut phones = Vec::with_capacity(OTHERS);
    for _ in 0..OTHERS {
        let made = world.sandbox.create_phone(NewPhone::default()).await;
        phones.push(made.expect("made"));
    }
    world.paired(&own, 1).await.connection.disconnect().await;
    let meter = Relay::metering(&world.database.endpoint).await;
    let state = world.state_in(&table(meter.endpoint()), 1);
    let mut session = world.begin_on(state).await;
    session.connected().await;
    *session.book.0.lock().expect("no holder panics") =
        phones.iter().map(|phone| saved(phone.number())).collect();
    let connection = session.connection.clone();
    let audience = connection.audience().await.expect("told");
    assert_eq!(audience.people.len(), OTHERS);
    let crowd = Crowd::Audience(audience.clone());
    connection.agree_on_keys(&crowd).await.expect("agreed");
    done_for_nothing(&connection, &crowd, &meter).await;

    let message = MessageId::from_bytes([7; 16]);
    let said = text("the sea");
    let shown = connection.send_status(message, &said, &audience).await;
    shown.expect("on the wire");
    let id = message.to_whatsapp();
    assert_eq!(session.acknowledged(&id).await, None);
    let on_the_wire = calls(&meter);
    assert!(on_the_wire < 2 * OTHERS as u64, "{on_the_wire} calls");
    for phone in &phones {
        let wanted = |entry: &sandbox::script::Entry| entry.id == id;
        phone.wait_for(wanted, DEADLINE).await.expect("shown");
    }
}
