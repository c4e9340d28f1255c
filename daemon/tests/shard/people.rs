//! What a daemon learns of people, and that it goes by it.

use chrono::TimeDelta;
use daemon::connection::{InboundMessage, SendError};
use shared::domain::content::{Content, Context};
use shared::domain::instance::Instance;
use shared::domain::message::{FailureCode, State};
use shared::domain::person::{Acquaintance, Person};
use shared::domain::question::Found;
use shared::domain::recipient::Recipient;
use shared::storage::item::Item;
use shared::storage::keys;
use shared::storage::people::People;
use testbed::wait::until;

use crate::world::World;

const ALICE: &str = "15550100001";
const ALICE_LID: &str = "lid:200000000000001";

fn name(text: &str) -> Recipient {
    text.parse().expect("a name")
}

/// What the directory says of a name, when it says this.
async fn until_known(
    world: &World,
    instance: &Instance,
    of: &str,
    is_so: impl Fn(&Acquaintance) -> bool,
) -> Acquaintance {
    let people = People::new(world.table.clone());
    until("an entry of the directory", async || {
        let found = people.get(instance.id, &name(of), world.now()).await;
        found.expect("read").filter(|found| is_so(found))
    })
    .await
}

/// The directory's items.
async fn items(world: &World, instance: &Instance) -> Vec<Item> {
    let partition = keys::people_partition(instance.id);
    let items = world.table.last_with_prefix(partition, "", None, 10).await;
    items.expect("read")
}

fn incoming(world: &World, whatsapp_id: &str, phone: Option<&str>) -> InboundMessage {
    InboundMessage {
        whatsapp_id: whatsapp_id.to_owned(),
        chat: name(ALICE_LID),
        sender: "200000000000001@lid".to_owned(),
        from: Person {
            phone: phone.map(str::to_owned),
            lid: Some("200000000000001".to_owned()),
        },
        with: Person {
            phone: phone.map(str::to_owned),
            lid: Some("200000000000001".to_owned()),
        },
        push_name: None,
        from_me: false,
        content: Content::text("hello"),
        context: Context::default(),
        quoted_in: None,
        vote: None,
        truncated: None,
        at: world.now(),
        received_at: world.now(),
    }
}

const WRITTEN: &str = "5511987654321";
const SPELT: &str = "551187654321";

/// As WhatsApp finds Alice by a number that people write otherwise.
fn found() -> Found {
    Found::There {
        person: Person {
            phone: Some(SPELT.to_owned()),
            lid: Some("200000000000001".to_owned()),
        },
        business_name: None,
    }
}

#[tokio::test]
async fn a_number_that_may_be_spelt_otherwise_is_looked_up_once_and_keeps_its_chat() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let looked_up = &session.line.clone().looked_up;
    session
        .line
        .found
        .lock()
        .expect("no holder panics")
        .push((name(WRITTEN), found()));
    let first = world.accept(&instance, WRITTEN, "one").await;
    let sent = session.sent().await;
    assert_eq!((sent.message, sent.to), (first, name(SPELT)));
    session.acknowledge(first, None).await;
    let record = world.until_state(&instance, first, State::Sent).await;
    assert_eq!(record.chat, name(WRITTEN));
    for by in [WRITTEN, SPELT, ALICE_LID] {
        let met = until_known(&world, &instance, by, |met| met.is_spelt(WRITTEN)).await;
        assert_eq!(met.chat, name(WRITTEN), "{by}");
        assert_eq!(met.person.phone.as_deref(), Some(SPELT));
    }
    let second = world.accept(&instance, WRITTEN, "two").await;
    assert_eq!(session.sent().await.to, name(SPELT));
    session.acknowledge(second, None).await;
    world.until_state(&instance, second, State::Sent).await;
    assert_eq!(*looked_up.lock().expect("no holder panics"), [name(WRITTEN)]);

    // One of whom nothing is said goes out as it was given; one with a single form is not looked up.
    let other = world.accept(&instance, "5215512345678", "three").await;
    assert_eq!(session.sent().await.to, name("5215512345678"));
    session.acknowledge(other, None).await;
    let plain = world.accept(&instance, ALICE, "four").await;
    assert_eq!(session.sent().await.to, name(ALICE));
    session.acknowledge(plain, None).await;
    world.until_state(&instance, plain, State::Sent).await;
    assert_eq!(
        *looked_up.lock().expect("no holder panics"),
        [name(WRITTEN), name("5215512345678")]
    );
    daemon.stop().await;
}

/// WhatsApp counts look-ups by themselves: who needs none is not held up.
#[tokio::test]
async fn a_throttled_look_up_pauses_those_who_need_one_alone() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    let line = session.line.clone();
    let throttle = |after| {
        let refusal = SendError::Throttled {
            after,
            source: "slower".into(),
        };
        let mut refusals = line.look_up_refusals.lock().expect("no holder panics");
        refusals.push(refusal);
    };
    line.found
        .lock()
        .expect("no holder panics")
        .push((name(WRITTEN), found()));
    // For a moment it waits in its chat.
    throttle(None);
    let first = world.accept(&instance, WRITTEN, "one").await;
    assert_eq!(session.sent().await.message, first);
    session.acknowledge(first, None).await;
    world.until_state(&instance, first, State::Sent).await;

    throttle(Some(std::time::Duration::from_mins(30)));
    let others = ["5215512345678", "5215512345679"];
    let mut waiting = Vec::new();
    for (count, other) in others.into_iter().enumerate() {
        waiting.push(world.accept(&instance, other, "who are you?").await);
        world.until_put_off(count + 1).await;
    }
    let looked_up = || line.looked_up.lock().expect("no holder panics").clone();
    assert_eq!(
        looked_up(),
        [name(WRITTEN), name(WRITTEN), name(others[0])],
        "nobody is looked up meanwhile"
    );
    for (to, spelt) in [(ALICE, ALICE), (WRITTEN, SPELT)] {
        let message = world.accept(&instance, to, "meanwhile").await;
        let sent = session.sent().await;
        assert_eq!((sent.message, sent.to), (message, name(spelt)));
        session.acknowledge(message, None).await;
        world.until_state(&instance, message, State::Sent).await;
    }
    for message in waiting {
        world.until_state(&instance, message, State::Queued).await;
    }
    assert_eq!(session.sent_besides(), []);
}

#[tokio::test]
async fn typing_is_shown_to_the_number_that_whatsapp_knows() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    session
        .line
        .found
        .lock()
        .expect("no holder panics")
        .push((name(WRITTEN), found()));
    let job = world.job(&instance, WRITTEN, "after a moment").await;
    let job = shared::domain::job::SendJob {
        typing_ms: Some(1_000),
        ..job
    };
    world.record(&job).await;
    world.enqueue(&instance, &job).await;
    assert_eq!(session.sent().await.to, name(SPELT));
    let shown = session.shown();
    assert_eq!(shown, [(name(SPELT), daemon::connection::ChatState::Typing)]);
    session.acknowledge(job.message, None).await;
    world.until_state(&instance, job.message, State::Sent).await;
}

#[tokio::test]
async fn whoever_was_sent_to_by_number_is_known_by_lid_and_keeps_the_chat() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    // The library learns it with the look-up of the devices.
    session.knows(&name(ALICE), &name(ALICE_LID));
    let message = world.accept(&instance, ALICE, "hello").await;
    session.sent().await;
    session.acknowledge(message, None).await;
    let met = until_known(&world, &instance, ALICE_LID, |_| true).await;
    assert_eq!(met.chat, name(ALICE));
    assert_eq!(
        met.person.names().collect::<Vec<_>>(),
        [name(ALICE), name(ALICE_LID)]
    );
    until_known(&world, &instance, ALICE, |met| met.person.lid.is_some()).await;

    // What comes in by the LID is of that chat, and has both names.
    let answer = incoming(&world, "3AFF01", None);
    session.inbound.commit(&[answer]).await.expect("stored");
    let log = world.messages.list(instance.id, None, 10).await.expect("read");
    let answer = log.iter().find(|record| record.state == State::Received);
    let answer = answer.expect("recorded");
    assert_eq!(answer.chat, name(ALICE));
    assert_eq!(answer.person, met.person);
    daemon.stop().await;
}

#[tokio::test]
async fn whoever_writes_first_is_met_by_the_name_of_the_chat_and_written_once() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    let first = incoming(&world, "3AFF01", Some(ALICE));
    session.inbound.commit(&[first]).await.expect("stored");
    let met = until_known(&world, &instance, ALICE, |_| true).await;
    assert_eq!(met.chat, name(ALICE_LID));
    let before = items(&world, &instance).await;
    for n in 2..10 {
        let next = incoming(&world, &format!("3AFF{n:02}"), Some(ALICE));
        session.inbound.commit(&[next]).await.expect("stored");
    }
    daemon.stop().await;
    assert_eq!(items(&world, &instance).await, before);
    assert_eq!(before.len(), 2);
}

#[tokio::test]
async fn whoever_is_not_on_whatsapp_is_remembered_until_a_message_comes_through() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, mut session) = world.connected(&mut daemon).await;
    session.refuse_next(SendError::Refused(FailureCode::RecipientNotOnWhatsapp));
    let lost = world.accept(&instance, ALICE, "anyone?").await;
    world.until_state(&instance, lost, State::Failed).await;
    let now = world.now();
    let absent = until_known(&world, &instance, ALICE, |_| true).await;
    assert!(absent.is_known_to_be_absent(now + TimeDelta::minutes(14)));
    assert!(!absent.is_known_to_be_absent(now + TimeDelta::minutes(15)));
    let found = world.accept(&instance, ALICE, "there?").await;
    session.sent().await;
    session.acknowledge(found, None).await;
    until_known(&world, &instance, ALICE, |met| !met.is_known_to_be_absent(now)).await;
    daemon.stop().await;
}
