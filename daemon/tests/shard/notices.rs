//! What a session notices besides messages: told in its order, under ids that are derived, and to those who want it.

use chrono::TimeDelta;
use daemon::announce::announcement::Announcement;
use daemon::notice::Notice;
use serde_json::json;
use shared::domain::event::{
    CallReceived, ChatNames, ContactChanges, ContactUpdated, Data, EventType, GroupChanges,
    GroupParticipants, GroupUpdated, ParticipantsAction, PictureChange, PresenceState, PresenceUpdated,
    Wants, Words,
};
use shared::domain::feed::FeedEvent;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::queue::Queue as _;
use testbed::relay::{On, Relay};
use testbed::wait::until;

use crate::inbound::message;
use crate::world::World;

const GROUP: &str = "120363021033254949@g.us";

fn by_lid(number: usize) -> Person {
    Person {
        phone: None,
        lid: Some(format!("2000000000{number:05}")),
    }
}

fn chat(person: &Person) -> Recipient {
    person.names().next().expect("a name")
}

/// The notice that a group is called so.
fn called(world: &World, key: &str, subject: &str) -> Notice {
    Notice {
        chat: GROUP.parse().expect("a group"),
        by: "200000000000001@lid".to_owned(),
        key: key.to_owned(),
        at: world.now() - TimeDelta::seconds(4),
        data: Data::GroupUpdated(Box::new(GroupUpdated {
            group: GROUP.to_owned(),
            by: Some(by_lid(1)),
            changes: GroupChanges {
                subject: Some(Words(Some(subject.to_owned()))),
                ..GroupChanges::default()
            },
            truncated: false,
        })),
    }
}

fn is_there(world: &World, number: usize) -> Notice {
    let from = by_lid(number);
    Notice {
        chat: chat(&from),
        by: String::new(),
        key: number.to_string(),
        at: world.now(),
        data: Data::PresenceUpdated(Box::new(PresenceUpdated {
            chat: ChatNames::of(&chat(&from), &from),
            from,
            state: PresenceState::Available,
            last_seen: None,
        })),
    }
}

async fn queued(world: &World) -> u64 {
    let depth = world.queue.depth(&world.names.events()).await.expect("read");
    depth.visible + depth.in_flight
}

#[tokio::test]
async fn a_notice_is_told_in_its_order_and_once_under_its_id() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::everything()).await;
    let known =
        ["200000000000001@lid", "15550100001@s.whatsapp.net"].map(|name| name.parse().expect("a name"));
    session.knows(&known[0], &known[1]);
    let notices = [
        called(&world, "1/0", "Engines"),
        called(&world, "2/0", "Steam engines"),
        called(&world, "3/0", "Engines again"),
    ];
    for notice in &notices {
        session.notices.tell(notice.clone());
    }
    // WhatsApp tells one again that it has no acknowledgement of.
    session.notices.tell(notices[0].clone());
    session.notices.tell(called(&world, "4/0", "The last"));
    let events = world.events(&instance, 4).await;
    let subjects: Vec<_> = events
        .iter()
        .map(|opened| &opened.data["changes"]["subject"])
        .collect();
    assert_eq!(
        subjects,
        ["Engines", "Steam engines", "Engines again", "The last"]
    );
    for (opened, notice) in events.iter().zip(&notices) {
        let told = Announcement::notice(instance.id, &notice.chat, notice);
        assert_eq!((opened.event.id, &opened.group), (told.id, &told.group));
        assert_eq!(opened.event.kind, EventType::GroupUpdated);
        assert_eq!(opened.event.timestamp, notice.at);
        assert_eq!(opened.event.needs, 23);
        assert!(
            !opened.event.data.contains("Engines"),
            "content rests only sealed"
        );
    }
    assert_eq!(
        events[0].data["by"],
        json!({"phone": "15550100001", "lid": "200000000000001"}),
        "the session knows the number"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn what_nobody_wants_costs_nothing() {
    let world = World::new().await;
    let relay = Relay::before(&world.database.endpoint).await;
    let looked_up = relay.watch(On::any().with("people#"));
    let mut daemon = world.daemon_on("a", relay.endpoint()).await;
    let (instance, session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::CallReceived]))
        .await;
    session.notices.tell(called(&world, "1/0", "Engines"));
    session.notices.tell(is_there(&world, 2));
    let hub = daemon.deps.announcer.hub();
    let shown = until("both at the hub", async || {
        let shown = hub.after(None).expect("all of it");
        (shown.len() == 3).then_some(shown)
    })
    .await;
    assert_eq!(
        shown[1].body["data"]["changes"],
        json!({"subject": null}),
        "without what it is called"
    );
    assert_eq!(queued(&world).await, 0);
    assert!(!session.notices.is_wanted(EventType::GroupUpdated));
    assert!(session.notices.is_wanted(EventType::CallReceived));
    assert_eq!(looked_up.hits(), 0, "nor is anybody looked up");
    daemon.stop().await;
}

#[tokio::test]
async fn a_flood_of_presence_is_held_back_and_counted() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::everything()).await;
    for number in 0..1_000 {
        session.notices.tell(is_there(&world, number));
    }
    session.notices.tell(called(&world, "1/0", "Engines"));
    let mut events = Vec::new();
    until("the group's change", async || {
        events.extend(world.events_there(&instance).await);
        let last = events.last()?;
        (last.event.kind == EventType::GroupUpdated).then_some(())
    })
    .await;
    let told = events.len() - 1;
    let dropped = daemon.deps.meter.presences_dropped.get();
    assert!((1..=100).contains(&told), "{told} told");
    assert_eq!(usize::try_from(dropped).expect("few") + told, 1_000);
    assert_eq!(daemon.deps.meter.notices_given_up.get(), 0);
    daemon.stop().await;
}

#[tokio::test]
async fn notices_wait_for_the_queue_and_presence_does_not() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::everything()).await;
    world.queue.refuse_batches(true);
    session.notices.tell(is_there(&world, 1));
    let subjects: Vec<String> = (0..30).map(|n| format!("Engines {n}")).collect();
    for (n, subject) in subjects.iter().enumerate() {
        session.notices.tell(called(&world, &format!("{n}/0"), subject));
    }
    until("refused batches", async || {
        (world.queue.refused_batches() >= 2).then_some(())
    })
    .await;
    world.queue.refuse_batches(false);
    let events = world.events(&instance, subjects.len()).await;
    let told: Vec<_> = events
        .iter()
        .map(|opened| &opened.data["changes"]["subject"])
        .collect();
    assert_eq!(
        told,
        subjects.iter().collect::<Vec<_>>(),
        "in their order, each once"
    );
    assert_eq!(daemon.deps.meter.presences_dropped.get(), 1);
    assert_eq!(daemon.deps.meter.notices_given_up.get(), 0);
    daemon.stop().await;
}

#[tokio::test]
async fn what_finds_no_room_and_what_is_left_at_the_end_is_counted() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::everything()).await;
    world.queue.refuse_batches(true);
    session.notices.tell(called(&world, "first", "Engines"));
    until("a refused batch", async || {
        (world.queue.refused_batches() >= 1).then_some(())
    })
    .await;
    let meter = &daemon.deps.meter;
    for n in 0..1_100 {
        session.notices.tell(called(&world, &format!("{n}/0"), "Engines"));
    }
    let given_up = meter.notices_given_up.get();
    assert!((66..=77).contains(&given_up), "{given_up} found no room");
    let deps = daemon.deps.clone();
    daemon.stop().await;
    assert_eq!(
        deps.meter.notices_given_up.get(),
        1_101,
        "the rest is lost with the shard"
    );
    world.queue.refuse_batches(false);
    assert_eq!(queued(&world).await, 0);
}

/// Everything that may come at once is one message of the queue.
#[tokio::test]
async fn a_thousand_people_fit_into_an_event() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::everything()).await;
    let crowd = (0..1_024).map(|number| Person {
        phone: Some(format!("1555010{number:08}")),
        ..by_lid(number)
    });
    session.notices.tell(Notice {
        data: Data::GroupParticipants(Box::new(GroupParticipants {
            group: GROUP.to_owned(),
            action: ParticipantsAction::Added,
            reason: None,
            by: Some(by_lid(1)),
            participants: crowd.collect(),
            truncated: false,
        })),
        ..called(&world, "1/0", "")
    });
    let events = world.events(&instance, 1).await;
    let people = events[0].data["participants"].as_array().expect("a list");
    assert_eq!(
        (people.len(), &events[0].data["truncated"]),
        (1_024, &json!(false))
    );
    let hub = daemon.deps.announcer.hub();
    let shown = hub.after(None).expect("all of it");
    let shown = &shown.last().expect("one").body["data"];
    assert_eq!(
        shown["participants"].as_array().map(Vec::len),
        Some(32),
        "memory is bounded"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn who_follows_the_feed_hears_of_people_though_nobody_else_wants_that() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    let hub = daemon.deps.announcer.hub();
    assert!(!session.notices.is_wanted(EventType::PresenceUpdated));
    hub.follow([instance.subscription]);
    assert!(session.notices.is_wanted(EventType::PresenceUpdated));
    session.notices.tell(is_there(&world, 2));
    until("it at the hub", async || {
        let shown = hub.after(None).expect("all of it");
        let last = shown.last().expect("the connection at least");
        (last.event == FeedEvent::PresenceUpdate).then_some(())
    })
    .await;
    assert_eq!(queued(&world).await, 0, "and nothing is queued");
    daemon.stop().await;
}

#[tokio::test]
async fn contacts_and_calls_are_told_in_their_chats() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world.listen(&instance, &Wants::everything()).await;
    // The person has written before, and their chat goes by the name of then.
    session
        .inbound
        .commit(&[message(&world, "3AFF01")])
        .await
        .expect("stored");
    let alice = message(&world, "").from;
    let of = |key: &str, data: Data| Notice {
        chat: chat(&alice),
        by: String::new(),
        key: key.to_owned(),
        at: world.now(),
        data,
    };
    session.notices.tell(of(
        "picture/1",
        Data::ContactUpdated(Box::new(ContactUpdated {
            contact: alice.clone(),
            changes: ContactChanges {
                picture: Some(PictureChange::Changed),
                ..ContactChanges::default()
            },
            truncated: false,
        })),
    ));
    session.notices.tell(of(
        "call/CAFE",
        Data::CallReceived(Box::new(CallReceived {
            id: "CAFE".to_owned(),
            from: alice.clone(),
            push_name: None,
            group: None,
            is_group: false,
            is_video: true,
            missed: false,
            timestamp: world.now(),
        })),
    ));
    let events = world.events(&instance, 3).await;
    let kinds: Vec<_> = events.iter().map(|opened| opened.event.kind.as_str()).collect();
    assert_eq!(kinds, ["message.received", "contact.updated", "call.received"]);
    assert!(
        events.iter().all(|opened| opened.group == events[0].group),
        "one chat"
    );
    assert_eq!(events[1].data["changes"], json!({"picture": "changed"}));
    assert_eq!(
        (&events[2].data["id"], &events[2].data["isVideo"]),
        (&json!("CAFE"), &json!(true))
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_name_that_a_sender_shows_is_told_when_it_is_another_one() {
    let world = World::new().await;
    let mut daemon = world.daemon("a").await;
    let (instance, session) = world.connected(&mut daemon).await;
    world
        .listen(&instance, &Wants::only(&[EventType::ContactUpdated]))
        .await;
    let start = message(&world, "").at;
    for (n, name, seconds) in [
        (1, "Alice", 0),
        (2, "Alice", 1),
        (3, "Alice of Engines", 2),
        // It waited on the way, and has her former name.
        (4, "Alice", 1),
        (5, "Alice of Engines", 3),
    ] {
        let mut incoming = message(&world, &format!("3AFF0{n}"));
        incoming.push_name = Some(name.to_owned());
        incoming.at = start + TimeDelta::seconds(seconds);
        incoming.received_at += TimeDelta::microseconds(n);
        session.inbound.commit(&[incoming]).await.expect("stored");
    }
    let events = world.events(&instance, 1).await;
    assert_eq!(events[0].data["changes"], json!({"pushName": "Alice of Engines"}));
    assert_eq!(events[0].data["contact"]["lid"], "200000000000001");
    daemon.stop().await;
}
