//! Marking a chat as read: which messages, by the records.

use chrono::TimeDelta;
use daemon::connection::{InboundMessage, Unread};
use shared::domain::content::{Content, Context};
use shared::domain::instance::Instance;
use shared::domain::person::Person;
use shared::domain::question::{Answer, ChatRead, ReadChat};
use shared::domain::recipient::Recipient;
use shared::ids::MessageId;
use shared::storage::people::People;
use testbed::wait::until;

use crate::network::Playing;
use crate::world::World;

const ALICE: &str = "15550100001";
const GROUP: &str = "120363021033254949@g.us";

fn name(text: &str) -> Recipient {
    text.parse().expect("a name")
}

/// A message from this person, by the name that its stanza gives, arrives `after` microseconds.
fn incoming(world: &World, chat: &str, from: &str, id: &str, after: i64) -> InboundMessage {
    let alice = Person {
        phone: Some(ALICE.to_owned()),
        lid: Some("200000000000001".to_owned()),
    };
    let from = name(from);
    let is_alice = alice.is_named(&from);
    let person = if is_alice { alice } else { Person::of(&from) };
    InboundMessage {
        whatsapp_id: id.to_owned(),
        chat: name(chat),
        sender: from.to_jid(),
        with: if name(chat).group().is_some() {
            Person::default()
        } else {
            person.clone()
        },
        from: person,
        push_name: None,
        from_me: false,
        content: Content::text("hello"),
        vote: None,
        context: Context::default(),
        quoted_in: None,
        truncated: None,
        at: world.now(),
        received_at: world.now() + TimeDelta::microseconds(after),
    }
}

fn unread(id: &str, from: &str) -> Unread {
    Unread {
        id: id.to_owned(),
        from: name(from),
    }
}

async fn read(world: &World, instance: &Instance, chat: &str, up_to: Option<MessageId>) -> u32 {
    let chat = name(chat);
    let question = world.ask(instance, ReadChat { chat, up_to }.into()).await;
    match world.until_answered(&question).await {
        Ok(Answer::ChatRead(ChatRead { messages })) => messages,
        other => panic!("{other:?}"),
    }
}

fn told(session: &Playing) -> Vec<(Recipient, Vec<Unread>)> {
    std::mem::take(&mut *session.line.read.lock().expect("no holder panics"))
}

#[tokio::test]
async fn what_came_since_the_last_mark_is_told_to_its_senders_by_the_names_it_came_by() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    let lid = "lid:200000000000001";
    let first = incoming(&world, ALICE, ALICE, "3A01", 1);
    session.inbound.commit(&[first]).await.expect("stored");
    let people = People::new(world.table.clone());
    until("both names of Alice", async || {
        people
            .get(instance.id, &name(lid), world.now())
            .await
            .expect("read")
    })
    .await;
    let batch = [
        incoming(&world, "15550100007", "15550100007", "3A02", 2),
        incoming(&world, lid, lid, "3A03", 3),
        incoming(&world, GROUP, lid, "3A04", 4),
        incoming(&world, GROUP, "15550100007", "3A05", 5),
    ];
    session.inbound.commit(&batch).await.expect("stored");
    let records = world.messages.list(instance.id, None, 10).await.expect("read");
    let of = |id: &str| {
        let found = records
            .iter()
            .find(|record| record.whatsapp_id.as_deref() == Some(id));
        found.expect("a record").id
    };
    // Both names are one chat.
    assert_eq!(read(&world, &instance, ALICE, Some(of("3A02"))).await, 1);
    assert_eq!(told(&session), [(name(ALICE), vec![unread("3A01", ALICE)])]);
    assert_eq!(read(&world, &instance, ALICE, None).await, 1);
    assert_eq!(told(&session), [(name(ALICE), vec![unread("3A03", lid)])]);
    // There is nothing left, and nothing is told twice.
    assert_eq!(read(&world, &instance, ALICE, None).await, 0);
    assert_eq!(read(&world, &instance, ALICE, Some(of("3A01"))).await, 0);
    assert_eq!(told(&session), []);
    assert_eq!(read(&world, &instance, GROUP, None).await, 2);
    let of_group = vec![unread("3A05", "15550100007"), unread("3A04", lid)];
    assert_eq!(told(&session), [(name(GROUP), of_group)]);
    let late = incoming(&world, ALICE, ALICE, "3A06", 6);
    session.inbound.commit(&[late]).await.expect("stored");
    assert_eq!(read(&world, &instance, ALICE, None).await, 1);
    assert_eq!(told(&session), [(name(ALICE), vec![unread("3A06", ALICE)])]);
    daemon.stop().await;
}
