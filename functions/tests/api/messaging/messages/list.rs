//! `GET /api/messages`.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::domain::message::{Direction, Kind, MessageRecord, State};
use shared::domain::person::Person;
use shared::ids::{InstanceId, MessageId};
use shared::storage::item::s;
use shared::storage::keys;
use shared::storage::messages::Change;
use shared::storage::people::{Lesson, People};
use testbed::caller::Caller;

use crate::support::World;

async fn ids(key: &Caller, query: &str) -> Vec<Value> {
    let listed = key.get(&format!("/api/messages{query}")).await.data(200);
    let listed = listed.as_array().expect("a list").iter();
    listed.map(|message| message["id"].clone()).collect()
}

/// A message from this number.
async fn received(world: &World, instance: InstanceId, from: &str) -> MessageId {
    let now = world.clock.now();
    let id = MessageId::new(now);
    let record = MessageRecord {
        received_at: Some(now),
        ..MessageRecord::new(
            id,
            instance,
            Direction::Incoming,
            Kind::Location,
            from.parse().expect("a number"),
            Person::default(),
            now,
        )
    };
    world.state.messages.put(&record).await.expect("stored");
    world.clock.advance(TimeDelta::seconds(1));
    id
}

#[tokio::test]
async fn messages_are_listed_by_chat_status_direction_and_kind() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let mut sent = Vec::new();
    for to in ["15550100002", "15550100003", "15550100002"] {
        let body = json!({"to": to, "text": "secret", "reference": "order"});
        sent.push(key.send("text", body).await.data(202)["id"].clone());
        world.clock.advance(TimeDelta::seconds(1));
    }
    let received = json!(received(&world, instance, "15550100002").await);
    let change = Change {
        state: State::Sent,
        at: world.clock.now(),
        failure: None,
    };
    let first: MessageId = sent[0].as_str().expect("an id").parse().expect("an id");
    let changing = world.state.messages.change(instance, first, &change);
    changing.await.expect("stored");

    let [one, two, three] = &sent[..] else {
        panic!("three messages");
    };
    for (query, wanted) in [
        ("", vec![&received, three, two, one]),
        ("?chat=15550100002", vec![&received, three, one]),
        (
            "?chat=15550100002@s.whatsapp.net&direction=outgoing",
            vec![three, one],
        ),
        ("?chat=15550100004", vec![]),
        ("?status=sent", vec![one]),
        ("?status=queued&chat=15550100003", vec![two]),
        ("?direction=incoming", vec![&received]),
        ("?kind=text", vec![three, two, one]),
        ("?kind=location&status=received", vec![&received]),
        ("?kind=unknown", vec![]),
    ] {
        let wanted: Vec<_> = wanted.into_iter().cloned().collect();
        assert_eq!(ids(&key, query).await, wanted, "{query}");
    }
    // As the message itself is shown.
    let path = format!("/api/messages/{}", one.as_str().expect("an id"));
    let shown = key.get(&path).await.data(200);
    assert_eq!(key.get("/api/messages?status=sent").await.data(200)[0], shown);

    // Another instance has none of them.
    let other = world.instance(&user, "support").await;
    let other = world.key(&user, other, json!({})).await;
    assert_eq!(ids(&other, "").await, Vec::<Value>::new());

    // One that waits though its time is over reads as expired.
    world.clock.advance(TimeDelta::hours(26));
    assert_eq!(ids(&key, "?status=queued").await, Vec::<Value>::new());
    assert_eq!(ids(&key, "?status=expired").await, [three.clone(), two.clone()]);
}

/// Whatever name a request gives a person.
#[tokio::test]
async fn a_chat_has_the_messages_under_both_names_of_its_person() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let lid = "lid:200000000000001";
    let mut sent = Vec::new();
    for to in ["15550100002", lid] {
        let body = json!({"to": to, "text": "x"});
        sent.push(key.send("text", body).await.data(202)["id"].clone());
        world.clock.advance(TimeDelta::seconds(1));
    }
    sent.reverse();
    let [met, other] = ["15550100002", lid].map(|name| name.parse().expect("a name"));
    let lesson = Lesson {
        met,
        spelt: None,
        other: Some(other),
        on_whatsapp: None,
        looked_up: None,
    };
    let people = People::new(world.state.table.clone());
    let learning = people.learn(instance, 1, &lesson, world.clock.now());
    learning.await.expect("stored");
    world.clock.advance(TimeDelta::minutes(1));
    for name in ["15550100002", lid] {
        assert_eq!(ids(&key, &format!("?chat={name}")).await, sent, "{name}");
    }
}

/// An older build comes back after a newer one has written: its callers see each message, and nothing is said about one whose chat
/// it does not know.
#[tokio::test]
async fn what_a_newer_build_has_stored_is_listed_as_unknown() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let body = json!({"to": "15550100002", "text": "x", "reference": "order"});
    let sent = key.send("text", body).await.data(202)["id"].clone();
    let id: MessageId = sent.as_str().expect("an id").parse().expect("an id");
    let item = keys::message(instance, id);
    for (name, value) in [
        ("kind", "hologram"),
        ("state", "levitating"),
        ("chat", "120363021033254949@newsletter"),
        ("truncated", "by_a_black_hole"),
        ("aura", "purple"),
    ] {
        world.set(&item, name, s(value)).await;
    }
    let path = format!("/api/messages/{id}");
    let log = format!("/api/instances/{instance}/messages");
    let logged = user.get(&log).await.data(200)[0].clone();
    let shown = [
        key.get("/api/messages").await.data(200)[0].clone(),
        key.get("/api/messages?kind=unknown").await.data(200)[0].clone(),
        key.get(&path).await.data(200),
    ];
    for shown in &shown {
        assert_eq!(shown["to"], json!({"phone": null, "lid": null, "group": null}));
        assert_eq!(shown["reference"], "order");
    }
    for shown in shown.iter().chain([&logged]) {
        assert_eq!(shown["id"], sent);
        assert_eq!(
            (&shown["kind"], &shown["status"]),
            (&json!("unknown"), &json!("unknown"))
        );
    }
    key.get(&format!("{path}/timeline")).await.data(200);
    // In a state that is known nothing is said about it either, since nobody can name its chat.
    world.set(&item, "state", s("sent")).await;
    let refused = [
        key.post(&format!("{path}/reaction"), json!({"emoji": "👍"}))
            .await,
        key.delete(&path).await,
    ];
    for refused in refused {
        assert_eq!(
            refused.error(),
            "409 CONFLICT: The message is of a chat that this version does not know"
        );
    }
    let reply = json!({"to": "15550100002", "text": "x", "replyTo": {"id": id}});
    assert_eq!(
        key.send("text", reply).await.faults(),
        ["replyTo.id names a message of another chat"]
    );
}

#[tokio::test]
async fn pages_lead_through_a_list_that_is_filtered() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let mut wanted = Vec::new();
    for n in 0..6 {
        let from = if n % 2 == 0 { "15550100002" } else { "15550100003" };
        let id = received(&world, instance, from).await;
        if n % 2 == 0 {
            wanted.push(json!(id));
        }
    }
    wanted.reverse();
    let mut found = Vec::new();
    let mut query = "?chat=15550100002&limit=2".to_owned();
    let mut pages = 0;
    loop {
        let answer = key.get(&format!("/api/messages{query}")).await;
        let page = answer.data(200);
        let page = page.as_array().expect("a list").iter();
        found.extend(page.map(|message| message["id"].clone()));
        pages += 1;
        let next = answer.json()["meta"]["pagination"]["nextCursor"].clone();
        let Some(next) = next.as_str() else { break };
        query = format!("?chat=15550100002&limit=2&cursor={next}");
        // With other filters it leads nowhere.
        let other = format!("/api/messages?limit=2&cursor={next}");
        assert_eq!(key.get(&other).await.code(), "400 VALIDATION_ERROR");
    }
    assert_eq!((pages, found), (2, wanted));
}

/// What is rare is not looked for in one request through the log of months.
#[tokio::test]
async fn a_page_of_what_is_rare_ends_and_leads_on() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let oldest = received(&world, instance, "15550100009").await;
    for _ in 0..1_000 {
        received(&world, instance, "15550100002").await;
    }
    let answer = key.get("/api/messages?chat=15550100009").await;
    assert_eq!(answer.data(200), json!([]));
    let next = answer.json()["meta"]["pagination"]["nextCursor"].clone();
    let next = next.as_str().expect("there may be more");
    let answer = key
        .get(&format!("/api/messages?chat=15550100009&cursor={next}"))
        .await;
    assert_eq!(answer.data(200)[0]["id"], json!(oldest));
    assert_eq!(answer.json()["meta"]["pagination"]["nextCursor"], Value::Null);
}

#[tokio::test]
async fn every_fault_is_named() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let query = "?chat=nobody&status=lost&direction=up&kind=hologram&limit=0&cursor=x";
    let faults = key.get(&format!("/api/messages{query}")).await.faults();
    let fields: Vec<_> = faults
        .iter()
        .filter_map(|fault| fault.split(' ').next())
        .collect();
    assert_eq!(
        fields,
        ["limit", "cursor", "chat", "status", "direction", "kind"],
        "{faults:?}"
    );
    assert_eq!(
        key.get("/api/messages?from=2026-01-01").await.code(),
        "400 VALIDATION_ERROR"
    );
}
