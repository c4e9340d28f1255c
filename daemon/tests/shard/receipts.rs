//! Receipts: what they bring messages to, whose they are, and when they can be stored.

use chrono::TimeDelta;
use daemon::connection::{InboundMessage, ReceiptKind, SessionEvent};
use shared::domain::content::{Content, Context};
use shared::domain::instance::{Instance, Status, Wanted};
use shared::domain::job::SendJob;
use shared::domain::message::{Direction, GroupReceipts, Kind, MessageRecord, State};
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use shared::sealed;
use testbed::relay::{Fate, On, Relay};
use testbed::wait::until;

use crate::network::{Playing, account};
use crate::world::World;

const ALICE: &str = "15550100001";
const GROUP: &str = "120363021033254949@g.us";

fn group() -> Recipient {
    GROUP.parse().expect("a group")
}

fn member(n: u8) -> Person {
    Person {
        phone: Some(format!("1555010000{n}")),
        lid: Some(format!("10000000000000{n}")),
    }
}

/// What a receipt of a member's device names: one name of theirs.
fn named(n: u8, by_phone: bool) -> Person {
    let Person { phone, lid } = member(n);
    if by_phone {
        Person { phone, lid: None }
    } else {
        Person { phone: None, lid }
    }
}

impl Playing {
    async fn receipt_of(&self, world: &World, whatsapp_id: &str, kind: ReceiptKind, reader: Option<Person>) {
        self.tell(SessionEvent::Receipt {
            whatsapp_ids: vec![whatsapp_id.to_owned()],
            kind,
            at: world.now(),
            group: reader.is_some().then(group),
            reader: reader.unwrap_or_default(),
        })
        .await;
    }
}

/// Accepts a text to the group and lets the server take it.
async fn sent_to_group(world: &World, instance: &Instance, session: &mut Playing) -> MessageId {
    let message = world.accept(instance, GROUP, "hello all").await;
    assert_eq!(session.sent().await.message, message);
    session
        .tell(SessionEvent::ServerAck {
            whatsapp_id: message.to_whatsapp(),
            error: None,
            chat: Some(group()),
        })
        .await;
    world.until_state(instance, message, State::Sent).await;
    message
}

async fn until_receipts(
    world: &World,
    instance: &Instance,
    message: MessageId,
    wanted: [u32; 3],
) -> MessageRecord {
    let [delivered, read, of] = wanted;
    until(&format!("{wanted:?}"), async || {
        let record = world.messages.get(instance.id, message).await.expect("read")?;
        (record.receipts == Some(GroupReceipts { delivered, read, of })).then_some(record)
    })
    .await
}

#[tokio::test]
async fn a_group_has_read_what_all_its_members_have_read() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    daemon.network.set_members(vec![member(1), member(2), member(3)]);
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = sent_to_group(&world, &instance, &mut session).await;
    until_receipts(&world, &instance, message, [0, 0, 3]).await;

    let id = message.to_whatsapp();
    // Two devices of one member, each by another name, and a stranger.
    session
        .receipt_of(&world, &id, ReceiptKind::Read, Some(named(1, true)))
        .await;
    session
        .receipt_of(&world, &id, ReceiptKind::Delivered, Some(named(1, false)))
        .await;
    session
        .receipt_of(&world, &id, ReceiptKind::Read, Some(named(9, false)))
        .await;
    let record = until_receipts(&world, &instance, message, [1, 1, 3]).await;
    assert_eq!(record.state, State::Sent, "one of three");

    for n in [2, 3] {
        session
            .receipt_of(&world, &id, ReceiptKind::Delivered, Some(named(n, false)))
            .await;
    }
    world.until_state(&instance, message, State::Delivered).await;
    until_receipts(&world, &instance, message, [3, 1, 3]).await;

    // Another daemon takes over; what it hears again counts no second time.
    daemon.stop().await;
    let mut daemon = world.daemon("b").await;
    let session = daemon.session().await;
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    for n in [1, 2] {
        session
            .receipt_of(&world, &id, ReceiptKind::Read, Some(named(n, false)))
            .await;
    }
    let record = until_receipts(&world, &instance, message, [3, 2, 3]).await;
    assert_eq!(record.state, State::Delivered);
    session
        .receipt_of(&world, &id, ReceiptKind::Read, Some(named(3, true)))
        .await;
    let record = world.until_state(&instance, message, State::Read).await;
    assert!(record.delivered_at <= record.read_at);
    let counts = world.until_counted(&instance, |counts| counts.read == 1).await;
    assert_eq!((counts.delivered, counts.read), (1, 1));
}

/// Of a status those are counted who see it, as the members of a group are.
#[tokio::test]
async fn a_status_has_been_seen_by_those_whose_receipts_came() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    daemon.network.set_members(vec![member(1), member(2)]);
    let (instance, mut session) = world.connected(&mut daemon).await;
    let job = world.job(&instance, ALICE, "").await;
    let said = Content::Status(shared::domain::content::Status {
        status: Box::new(Content::text("the sea")),
    });
    let sealing = sealed::seal(&world.sealer, instance.id, &job.message, &said);
    let job = SendJob {
        to: Recipient::Status,
        kind: Kind::Status,
        content: sealing.await.expect("sealed"),
        ..job
    };
    world.record(&job).await;
    world.enqueue(&instance, &job).await;
    let sent = session.sent().await;
    assert_eq!((sent.to, sent.content), (Recipient::Status, said));
    let id = job.message.to_whatsapp();
    session
        .tell(SessionEvent::ServerAck {
            whatsapp_id: id.clone(),
            error: None,
            chat: Some(Recipient::Status),
        })
        .await;
    world.until_state(&instance, job.message, State::Sent).await;
    until_receipts(&world, &instance, job.message, [0, 0, 2]).await;
    for (n, kind) in [(1, ReceiptKind::Read), (2, ReceiptKind::Delivered)] {
        session
            .tell(SessionEvent::Receipt {
                whatsapp_ids: vec![id.clone()],
                kind,
                at: world.now(),
                group: Some(Recipient::Status),
                reader: named(n, false),
            })
            .await;
    }
    let record = world.until_state(&instance, job.message, State::Delivered).await;
    assert_eq!((record.kind, &record.chat), (Kind::Status, &Recipient::Status));
    until_receipts(&world, &instance, job.message, [2, 1, 2]).await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_receipt_waits_for_no_status_and_for_no_end() {
    let world = World::new().await;
    let table = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", table.endpoint()).await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = world.accept(&instance, ALICE, "hello").await;
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;

    let statuses = On::operation("UpdateItem").with("observedGeneration");
    let held = table.hold(statuses);
    session.log_in().await;
    let held = held.arrived().await;
    session
        .receipt(message, ReceiptKind::Delivered, world.now())
        .await;
    world.until_state(&instance, message, State::Delivered).await;
    held.pass();

    // The library acknowledges until the session has ended, and tells it after.
    session.tell_at_its_end(SessionEvent::Receipt {
        whatsapp_ids: vec![message.to_whatsapp()],
        kind: ReceiptKind::Read,
        at: world.now(),
        group: None,
        reader: Person::default(),
    });
    world.want(&instance, Wanted::Disconnected).await;
    world.until_state(&instance, message, State::Read).await;
}

fn own(world: &World, whatsapp_id: &str) -> InboundMessage {
    InboundMessage {
        whatsapp_id: whatsapp_id.to_owned(),
        chat: Recipient::Phone(ALICE.to_owned()),
        sender: "15550100000@s.whatsapp.net".to_owned(),
        from: account(),
        with: member(1),
        push_name: None,
        from_me: true,
        content: Content::text("from my phone"),
        context: Context::default(),
        quoted_in: None,
        vote: None,
        truncated: None,
        at: world.now() - TimeDelta::seconds(1),
        received_at: world.now(),
    }
}

#[tokio::test]
async fn what_another_device_of_the_account_sent_follows_its_receipts() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    // A phone's id, and one as another instance of the number makes it.
    let twin = MessageId::new(world.now()).to_whatsapp();
    for (n, whatsapp_id) in [(1, "3AFF02"), (2, twin.as_str())] {
        let mut message = own(&world, whatsapp_id);
        message.received_at += TimeDelta::microseconds(n);
        // The receipt may overtake the message.
        session
            .receipt_of(&world, whatsapp_id, ReceiptKind::Delivered, None)
            .await;
        session
            .inbound
            .commit(std::slice::from_ref(&message))
            .await
            .expect("stored");
        let log = world.messages.list(instance.id, None, 1).await.expect("read");
        let record = &log[0];
        assert_eq!(
            (record.direction, &record.person, record.sent_at),
            (Direction::Outgoing, &member(1), Some(message.at))
        );
        world.until_state(&instance, record.id, State::Delivered).await;
        session
            .receipt_of(&world, whatsapp_id, ReceiptKind::Read, None)
            .await;
        world.until_state(&instance, record.id, State::Read).await;
    }
    let counts = world.counts(&instance).await;
    assert_eq!(
        (counts.delivered, counts.read),
        (0, 0),
        "it is not this instance's to count"
    );
}

#[tokio::test]
async fn times_of_a_record_never_run_backwards() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = world.accept(&instance, ALICE, "hello").await;
    assert_eq!(session.sent().await.message, message);
    world.clock.advance(TimeDelta::seconds(60));
    session.acknowledge(message, None).await;
    let sent = world.until_state(&instance, message, State::Sent).await;
    // The server's clock is behind, and then far ahead.
    let behind = world.now() - TimeDelta::seconds(30);
    session.receipt(message, ReceiptKind::Delivered, behind).await;
    let delivered = world.until_state(&instance, message, State::Delivered).await;
    assert_eq!(delivered.delivered_at, sent.sent_at);
    assert!(delivered.updated_at >= sent.updated_at);
    let ahead = world.now() + TimeDelta::hours(3);
    session.receipt(message, ReceiptKind::Read, ahead).await;
    let read = world.until_state(&instance, message, State::Read).await;
    assert_eq!(
        read.read_at,
        Some(world.now()),
        "what is to come has not happened"
    );
}

/// More receipts than wait for a table that is away, and then the end of the connection: a session that waited for
/// the table would not hear of it.
#[tokio::test]
async fn receipts_wait_for_the_table_and_nothing_waits_for_them() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let mut daemon = world.daemon_on("a", relay.endpoint()).await;
    let instance = world.instance("main").await;
    world.nudge(&instance).await;
    let mut session = daemon.session().await;
    session.log_in().await;
    world.until_status(&instance, Status::Connected).await;
    let message = world.accept(&instance, ALICE, "hello").await;
    assert_eq!(session.sent().await.message, message);
    session.acknowledge(message, None).await;
    world.until_state(&instance, message, State::Sent).await;

    let throttled = relay.always(On::any().with("msgs#"), Fate::THROTTLED);
    session
        .receipt(message, ReceiptKind::Delivered, world.now())
        .await;
    for n in 0..1_500 {
        let other = MessageId::from_bytes([7; 16]).to_whatsapp();
        let other = format!("{}{n:04}", &other[..other.len() - 4]);
        session
            .receipt_of(&world, &other, ReceiptKind::Delivered, None)
            .await;
    }
    session
        .tell(SessionEvent::Disconnected {
            reason: "as the test wants it".to_owned(),
            blames_wire: true,
        })
        .await;
    let session = daemon.session().await;
    session.log_in().await;
    session.receipt(message, ReceiptKind::Read, world.now()).await;
    assert!(throttled.hits() > 0);
    throttled.end();
    world.until_state(&instance, message, State::Read).await;
}

#[tokio::test]
async fn what_was_told_is_stored_before_the_shard_is_given_up() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    daemon.network.set_members(vec![member(1)]);
    let (instance, mut session) = world.connected(&mut daemon).await;
    let message = sent_to_group(&world, &instance, &mut session).await;
    until_receipts(&world, &instance, message, [0, 0, 1]).await;
    let id = message.to_whatsapp();
    session
        .receipt_of(&world, &id, ReceiptKind::Read, Some(named(1, false)))
        .await;
    // The next event shows that the session has taken the one before.
    let last = world.accept(&instance, ALICE, "the last").await;
    assert_eq!(session.sent().await.message, last);
    session.acknowledge(last, None).await;
    world.until_state(&instance, last, State::Sent).await;
    daemon.stop().await;
    let record = world.messages.get(instance.id, message).await.expect("read");
    assert_eq!(record.map(|record| record.state), Some(State::Read));
}
