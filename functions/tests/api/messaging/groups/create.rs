//! `POST /api/groups`.

use std::time::Duration;

use serde_json::{Value, json};
use shared::domain::job::Query;
use shared::domain::payload;
use shared::domain::person::Person;
use shared::domain::question::{Ask, CreateGroup, GroupCreated, Participated, Verdict};
use shared::queue::{Queue as _, ReceiveOptions};
use shared::sealed;
use testbed::asked::{Doing, willing};

use crate::support::World;

const PATH: &str = "/api/groups";

#[tokio::test]
async fn a_group_is_made_and_each_participant_has_a_result() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(|ask| {
        let Ask::CreateGroup(CreateGroup { participants, .. }) = ask else {
            panic!("{ask:?}")
        };
        let verdicts = [
            Verdict::Done,
            Verdict::Invited,
            Verdict::NotOnWhatsapp,
            Verdict::Blocked,
        ];
        let results = participants
            .iter()
            .zip(verdicts)
            .map(|(name, verdict)| Participated {
                person: Person::of(name),
                verdict,
            });
        let made: Result<GroupCreated, _> = willing(ask).expect("an answer").try_into();
        let made = made.expect("of a new group");
        Ok(GroupCreated {
            results: results.collect(),
            ..made
        }
        .into())
    });
    let participants = [
        "+15550100002",
        "15550100003",
        "15550100004",
        "lid:200000000000005",
        "15550100002",
    ];
    let body =
        json!({"subject": "Engines ⚙️", "participants": participants, "description": "All about\nengines"});
    let made = key.post(PATH, body).await.data(201);
    assert_eq!(made["id"], "120363021033254949@g.us");
    assert_eq!(
        made["creator"],
        json!({"phone": "15550100001", "lid": "915550100001"})
    );
    assert_eq!(made["createdAt"], "2026-01-01T00:00:00.000Z");
    let shown: Vec<_> = made["results"].as_array().expect("a list").iter().collect();
    let told: Vec<_> = shown
        .iter()
        .map(|result| {
            (
                result["input"].as_str().expect("a text"),
                result["status"].as_str().expect("a text"),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("+15550100002", "done"),
            ("15550100003", "invited"),
            ("15550100004", "not_on_whatsapp"),
            ("lid:200000000000005", "not_allowed"),
            ("15550100002", "done"),
        ]
    );
    assert_eq!(shown[0]["phone"], "15550100002");
    assert_eq!(shown[0]["message"], Value::Null);
    assert_eq!(
        (&shown[3]["phone"], &shown[3]["lid"]),
        (&Value::Null, &json!("200000000000005"))
    );
    assert_eq!(shown[3]["message"], "They have blocked this account");
    let Ask::CreateGroup(ask) = asked.asks().remove(0) else {
        panic!("another question")
    };
    assert_eq!(ask.participants.len(), 4, "nobody is asked for twice");
    assert_eq!(ask.description.as_deref(), Some("All about\nengines"));
}

#[tokio::test]
async fn the_same_key_makes_one_group() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.answering(willing);
    let key = key.with_header("idempotency-key", "k");
    let body = json!({"subject": "Engines", "participants": ["15550100002"]});
    let first = key.post(PATH, &body).await;
    let again = key.post(PATH, &body).await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(first.data(201), again.data(201));
    let other = json!({"subject": "Machines", "participants": ["15550100002"]});
    let other = key.post(PATH, &other).await;
    assert!(
        other.error().starts_with("409 IDEMPOTENCY_CONFLICT"),
        "{}",
        other.error()
    );
    assert_eq!(asked.asks().len(), 1);
}

#[tokio::test]
async fn wrong_members_are_named() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let asked = world.asked(|_| Doing::Nothing);
    let many: Vec<_> = (0..1_024).map(|n| format!("1555010{n:04}")).collect();
    for (body, field) in [
        (json!({"subject": "", "participants": ["15550100002"]}), "subject"),
        (
            json!({"subject": "x".repeat(101), "participants": ["15550100002"]}),
            "subject",
        ),
        (json!({"subject": "Engines", "participants": []}), "participants"),
        (
            json!({"subject": "Engines", "participants": many}),
            "participants",
        ),
        (
            json!({"subject": "Engines", "participants": ["15550100002", "ada"]}),
            "participants[1]",
        ),
        (
            json!({"subject": "Engines", "participants": ["120363021033254949@g.us"]}),
            "participants[0]",
        ),
        (
            json!({"subject": "Engines", "participants": ["15550100002"], "description": "x".repeat(2_049)}),
            "description",
        ),
        (
            json!({"subject": "Engines", "participants": ["15550100002"], "description": "a\0"}),
            "description",
        ),
        (
            json!({"subject": "Engines", "participants": ["15550100002"], "topic": "x"}),
            "topic",
        ),
    ] {
        let answer = key.post(PATH, &body).await;
        assert_eq!(answer.status, 400, "{field}");
        assert_eq!(answer.bad_fields()[0], field);
    }
    assert!(asked.asks().is_empty());
}

/// What a group is called is content: it rests sealed in the queue.
#[tokio::test]
async fn the_queue_carries_nothing_of_it_in_the_clear() {
    let world = World::with(|mut config| {
        config.messaging.daemon_answer = Duration::from_secs(5);
        config
    })
    .await;
    let (_, _, key) = world.ready().await;
    let body = json!({"subject": "Marker one", "participants": ["15550100002"], "description": "Marker two"});
    assert_eq!(key.post(PATH, body).await.status, 504);
    let options = ReceiveOptions {
        max: 10,
        wait: Duration::ZERO,
        visibility: Duration::from_secs(30),
    };
    let received = world
        .queue
        .receive(&world.queue_names().queries(0), options)
        .await;
    let received = received.expect("received");
    let body = received
        .iter()
        .map(|message| &message.body)
        .find(|body| body.contains("sealedQuestion"))
        .expect("the question");
    assert!(!body.contains("Marker"), "{body}");
    let Query::SealedQuestion(question) = payload::decode(body).expect("ours") else {
        panic!("{body}")
    };
    let question = sealed::question::open(&world.state.sealer, question)
        .await
        .expect("ours");
    let Ask::CreateGroup(ask) = question.ask else {
        panic!("another question")
    };
    assert_eq!(
        (ask.subject.as_str(), ask.description.as_deref()),
        ("Marker one", Some("Marker two"))
    );
}
