//! The options `replyTo`, `mentions` and `typingMs`, which are alike for each kind.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::content::{Content, Context, Quoted, Said};
use shared::domain::job::Job;
use shared::domain::message::{Change, Direction, Kind, MessageRecord, State};
use shared::domain::payload;
use shared::domain::person::Person;
use shared::domain::recipient::Recipient;
use shared::ids::{InstanceId, MessageId};
use shared::sealed;
use shared::storage::people::{Lesson, People};

use crate::support::{Caller, World};

const ALICE: &str = "15550100002";
const ALICES_LID: &str = "lid:100000000000002";
const GROUP: &str = "120363021033254949@g.us";

fn name(text: &str) -> Recipient {
    text.parse().expect("a name")
}

fn person(phone: Option<&str>, lid: Option<&str>) -> Person {
    Person {
        phone: phone.map(str::to_owned),
        lid: lid.map(str::to_owned),
    }
}

/// A message that came in, as the daemon records it.
async fn came_in(
    world: &World,
    instance: InstanceId,
    chat: &str,
    from: Person,
    at: DateTime<Utc>,
) -> MessageId {
    let id = MessageId::new(at);
    let direction = Direction::Incoming;
    let mut record = MessageRecord::new(id, instance, direction, Kind::Location, name(chat), from, at);
    record.whatsapp_id = Some("3AFF01".to_owned());
    record.received_at = Some(at);
    world.state.messages.put(&record).await.expect("stored");
    id
}

/// What the one job that waits says, and the version that it needs.
async fn said(world: &World, instance: InstanceId) -> (u32, Said) {
    let sends = world.queue_names().sends(0);
    let jobs = world.waiting(&sends).await;
    // A lane gives no other job while one of its jobs is held.
    for job in &jobs {
        let deleted = world.state.queue.delete(&sends, &job.receipt).await;
        deleted.expect("deleted");
    }
    let body = &jobs.last().expect("a job").body;
    let v = serde_json::from_str::<Value>(body).expect("JSON")["v"].as_u64();
    let Job::Send(job) = payload::decode(body).expect("ours");
    let opening = sealed::open(&world.state.sealer, instance, &job.message, &job.content);
    let v = v.and_then(|v| u32::try_from(v).ok()).expect("a version");
    (v, opening.await.expect("opens"))
}

async fn reply(key: &Caller, to: &str, id: MessageId, text: Option<&str>) -> String {
    let body = json!({"to": to, "text": "an answer", "replyTo": {"id": id, "text": text}});
    let answer = key.send("text", body).await;
    if answer.status == 202 {
        "202".to_owned()
    } else {
        answer.error()
    }
}

#[tokio::test]
async fn a_message_of_the_same_chat_is_quoted_whoever_wrote_it() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let theirs = came_in(
        &world,
        instance,
        ALICE,
        person(Some(ALICE), None),
        world.clock.now(),
    )
    .await;
    assert_eq!(reply(&key, ALICE, theirs, Some("a place")).await, "202");
    let quoted = Quoted {
        id: Some(theirs),
        whatsapp_id: "3AFF01".to_owned(),
        from: person(Some(ALICE), None),
        from_me: false,
        kind: Kind::Location,
        text: Some("a place".to_owned()),
    };
    let wanted = |quoted: &Quoted| Said {
        content: Content::text("an answer"),
        context: Context {
            quoted: Some(Box::new(quoted.clone())),
            ..Context::default()
        },
    };
    let (v, told) = said(&world, instance).await;
    assert!(told == wanted(&quoted));
    assert_eq!(v, Context::VERSION, "an older daemon leaves it");

    let ours = key.send_text(ALICE, "a question").await;
    assert_eq!(said(&world, instance).await, (1, Said::text("a question")));
    let ours: MessageId = ours.parse().expect("an id");
    assert_eq!(reply(&key, ALICE, ours, None).await, "202");
    let own = Quoted {
        id: Some(ours),
        whatsapp_id: ours.to_whatsapp(),
        from: Person::default(),
        from_me: true,
        kind: Kind::Text,
        text: None,
    };
    assert!(said(&world, instance).await.1 == wanted(&own));

    // In a group it is said who wrote it.
    let lid = person(None, Some("100000000000002"));
    let in_group = came_in(&world, instance, GROUP, lid.clone(), world.clock.now()).await;
    assert_eq!(reply(&key, GROUP, in_group, None).await, "202");
    let quoted = Quoted {
        id: Some(in_group),
        from: lid,
        text: None,
        ..quoted
    };
    assert!(said(&world, instance).await.1 == wanted(&quoted));
}

/// Of a message nothing but its record is needed, which is kept for 90 days.
#[tokio::test]
async fn an_old_message_is_quoted_and_one_that_its_sender_took_back_too() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let long_ago = world.clock.now() - TimeDelta::days(80);
    let old = came_in(&world, instance, ALICE, person(Some(ALICE), None), long_ago).await;
    assert_eq!(reply(&key, ALICE, old, None).await, "202");

    let revoked: MessageId = key.send_text(ALICE, "x").await.parse().expect("an id");
    let change = Change {
        state: State::Cancelled,
        at: world.clock.now(),
        failure: None,
    };
    let changed = world.state.messages.change(instance, revoked, &change);
    changed.await.expect("stored");
    assert_eq!(reply(&key, ALICE, revoked, None).await, "202");
}

#[tokio::test]
async fn what_is_no_message_of_the_chat_is_refused_by_name() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let refused = |why: &str| format!("400 VALIDATION_ERROR: `replyTo.id` {why}");
    let elsewhere = came_in(
        &world,
        instance,
        GROUP,
        person(Some(ALICE), None),
        world.clock.now(),
    )
    .await;
    for to in [ALICE, "120363021033254950@g.us"] {
        let answer = reply(&key, to, elsewhere, None).await;
        assert_eq!(answer, refused("names a message of another chat"));
    }
    let of_bob = came_in(
        &world,
        instance,
        "15550100003",
        person(Some("15550100003"), None),
        world.clock.now(),
    )
    .await;
    for to in [ALICE, GROUP] {
        let answer = reply(&key, to, of_bob, None).await;
        assert_eq!(answer, refused("names a message of another chat"));
    }
    let unknown = refused("names no message of this instance");
    assert_eq!(
        reply(&key, ALICE, MessageId::new(world.clock.now()), None).await,
        unknown
    );
    // That of another instance does not exist.
    let other = world.instance(&user, "other").await;
    let theirs = came_in(&world, other, ALICE, person(Some(ALICE), None), world.clock.now()).await;
    assert_eq!(reply(&key, ALICE, theirs, None).await, unknown);
    assert!(world.waiting(&world.queue_names().sends(0)).await.is_empty());
}

#[tokio::test]
async fn a_chat_is_the_same_however_its_person_is_named() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let lesson = Lesson {
        met: name(ALICES_LID),
        spelt: None,
        other: Some(name(ALICE)),
        on_whatsapp: None,
        looked_up: None,
    };
    let people = People::new(world.state.table.clone());
    let learnt = people.learn(instance, 1, &lesson, world.clock.now()).await;
    learnt.expect("stored");
    let both = person(Some(ALICE), Some("100000000000002"));
    let theirs = came_in(&world, instance, ALICES_LID, both.clone(), world.clock.now()).await;
    // Met by number once, before the two names were known to be one.
    let earlier = came_in(&world, instance, ALICE, both, world.clock.now()).await;
    for to in [ALICE, ALICES_LID] {
        for quoted in [theirs, earlier] {
            assert_eq!(reply(&key, to, quoted, None).await, "202");
        }
    }
}

#[tokio::test]
async fn people_are_mentioned_by_any_name_and_each_once() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let body = json!({
        "to": GROUP, "text": "hello @15550100002",
        "mentions": ["+15550100002", "15550100002@s.whatsapp.net", ALICES_LID, "15550100000"],
    });
    key.send("text", body).await.data(202);
    let (v, told) = said(&world, instance).await;
    assert_eq!(v, Context::VERSION);
    let wanted = [
        person(Some(ALICE), None),
        person(None, Some("100000000000002")),
        person(Some("15550100000"), None),
    ];
    assert_eq!(told.context.mentions, wanted);

    let many: Vec<_> = (0..500).map(|n| format!("{}", 15_550_200_000_u64 + n)).collect();
    let body = json!({"to": GROUP, "text": "hello all", "mentions": many});
    key.send("text", body).await.data(202);
    assert_eq!(said(&world, instance).await.1.context.mentions.len(), 500);
    let nobody = json!({"to": GROUP, "text": "hello", "mentions": []});
    key.send("text", nobody).await.data(202);
    assert_eq!(said(&world, instance).await, (1, Said::text("hello")));
}

#[tokio::test]
async fn every_fault_of_an_option_is_named() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let many: Vec<_> = (0..10_000)
        .map(|n| format!("{}", 15_550_200_000_u64 + n))
        .collect();
    let number = "must be a phone number in E.164 (7 to 15 digits, an optional + before them), `lid:` and digits, \
                  or a WhatsApp JID";
    let id = "must be an id that starts with `msg_` and goes on with 26 letters and digits";
    for (options, told) in [
        (
            json!({"mentions": ["12", GROUP, ALICE], "replyTo": {"id": "3EB0", "text": " "}}),
            vec![
                "replyTo.text must show something: white space and invisible characters alone do not"
                    .to_owned(),
                format!("replyTo.id {id}"),
                format!("mentions[0] {number}"),
                "mentions[1] must be a person, not a group".to_owned(),
            ],
        ),
        (
            json!({"typingMs": 30_001}),
            vec!["typingMs must be a whole number from 1 to 30000".to_owned()],
        ),
        (
            json!({"mentions": many}),
            vec!["mentions must have 1024 people at most".to_owned()],
        ),
        (
            json!({"mentions": [7], "replyTo": {"text": "x", "from": "y"}}),
            vec![
                "mentions[0] must be a string".to_owned(),
                "replyTo.from is unknown".to_owned(),
                "replyTo.id is missing".to_owned(),
            ],
        ),
        (
            json!({"mentions": ALICE, "replyTo": "msg_01JD0000000000000000000000"}),
            vec![
                "mentions must be a list".to_owned(),
                "replyTo must be an object".to_owned(),
            ],
        ),
    ] {
        let mut body = json!({"to": ALICE, "text": "x"});
        let members = body.as_object_mut().expect("an object");
        members.extend(options.as_object().expect("an object").clone());
        let answer = key.send("text", body).await;
        assert_eq!(answer.status, 400, "{options}");
        let mut faults = answer.faults();
        faults.sort();
        let mut told = told;
        told.sort();
        assert_eq!(faults, told, "{options}");
    }
}

/// What is quoted, and who is mentioned, belongs to what is asked.
#[tokio::test]
async fn a_repetition_quotes_and_mentions_the_same() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let theirs = came_in(
        &world,
        instance,
        ALICE,
        person(Some(ALICE), None),
        world.clock.now(),
    )
    .await;
    let key = key.with_header("idempotency-key", "order-42");
    let send = async |reply: Value, mentions: Value| {
        let body = json!({"to": ALICE, "text": "x", "replyTo": reply, "mentions": mentions});
        key.send("text", body).await
    };
    let first = send(json!({"id": theirs}), json!([ALICE])).await.data(202);
    let again = send(json!({"text": null, "id": theirs}), json!(["+15550100002"])).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.data(202), first);
    for (reply, mentions) in [
        (json!(null), json!([ALICE])),
        (json!({"id": theirs, "text": "y"}), json!([ALICE])),
        (json!({"id": theirs}), json!(null)),
    ] {
        assert_eq!(send(reply, mentions).await.status, 409);
    }
}

#[tokio::test]
async fn somebody_types_first_where_a_daemon_knows_how() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    for (given, wanted) in [
        (json!(2_000), Some(2_000)),
        (json!(1.0), Some(1)),
        (json!(null), None),
    ] {
        let body = json!({"to": ALICE, "text": "x", "typingMs": given});
        key.send("text", body).await.data(202);
        let sends = world.queue_names().sends(0);
        let jobs = world.waiting(&sends).await;
        let Job::Send(job) = payload::decode(&jobs[0].body).expect("ours");
        assert_eq!(job.typing_ms, wanted);
        let v = serde_json::from_str::<Value>(&jobs[0].body).expect("JSON")["v"].clone();
        assert_eq!(v, wanted.map_or(1, |_| Context::VERSION));
        let deleted = world.state.queue.delete(&sends, &jobs[0].receipt).await;
        deleted.expect("deleted");
    }
}
