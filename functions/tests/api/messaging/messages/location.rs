//! `POST /api/messages/location`.

use serde_json::{Value, json};
use shared::domain::content::{Content, Location, Place};
use shared::domain::job::Job;
use shared::domain::message::Kind;
use shared::domain::payload;
use shared::sealed;

use crate::support::World;

#[tokio::test]
async fn a_place_is_a_job_that_needs_a_daemon_who_knows_places() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let body = json!({
        "to": "15550100002",
        "latitude": 52.5163,
        "longitude": -13.3777,
        "name": "Brandenburg Gate",
        "address": null,
        "reference": "order-42",
    });
    let accepted = key.send("location", body).await.data(202);
    assert_eq!(accepted["kind"], "location");
    let id = accepted["id"].as_str().expect("an id").to_owned();

    let jobs = world.waiting(&world.queue_names().sends(0)).await;
    assert!(!jobs[0].body.contains("Brandenburg"));
    let body: Value = serde_json::from_str(&jobs[0].body).expect("JSON");
    assert_eq!((&body["v"], &body["kind"]), (&json!(2), &json!("location")));
    let Job::Send(job) = payload::decode(&jobs[0].body).expect("ours");
    let opening = sealed::open(&world.state.sealer, instance, &id, &job.content);
    let content: Content = opening.await.expect("opens");
    let place = Place {
        latitude: 52.5163,
        longitude: -13.3777,
        name: Some("Brandenburg Gate".to_owned()),
        address: None,
        live: false,
    };
    let wanted = Content::Location(Location {
        location: place,
        text: None,
        live_seconds: None,
    });
    assert_eq!(content, wanted);
    let record = world.state.messages.get(instance, job.message).await;
    let record = record.expect("read").expect("there");
    assert_eq!(
        (record.kind, record.reference.as_deref()),
        (Kind::Location, Some("order-42"))
    );
}

#[tokio::test]
async fn a_live_place_is_left_to_a_daemon_that_sends_live_places() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let mut sent = Vec::new();
    for seconds in [60, 28_800] {
        let body = json!({"to": "15550100002", "latitude": 52.5, "longitude": 13, "liveSeconds": seconds});
        let accepted = key.send("location", body).await.data(202);
        assert_eq!(accepted["kind"], "location");
        sent.push((seconds, accepted["id"].as_str().expect("an id").to_owned()));
    }
    let jobs = world.waiting(&world.queue_names().sends(0)).await;
    for (seconds, id) in sent {
        let job = jobs.iter().find(|job| job.body.contains(&id)).expect("a job");
        let told: Value = serde_json::from_str(&job.body).expect("JSON");
        assert_eq!(told["v"], 22);
        let Job::Send(job) = payload::decode(&job.body).expect("ours");
        let opening = sealed::open(&world.state.sealer, instance, &id, &job.content);
        let Content::Location(location) = opening.await.expect("opens") else {
            panic!("a place");
        };
        assert!(location.location.live);
        assert_eq!(location.live_seconds, Some(seconds));
    }
}

#[tokio::test]
async fn every_fault_is_named() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    for (body, told) in [
        (
            json!({"to": "15550100002", "latitude": 90.1, "longitude": -180.1}),
            vec![
                "latitude must be a number from -90 to 90",
                "longitude must be a number from -180 to 180",
            ],
        ),
        (
            json!({"to": "15550100002", "latitude": "52", "longitude": null}),
            vec![
                "latitude must be a number from -90 to 90",
                "longitude must not be null",
            ],
        ),
        (
            json!({
                "to": "15550100002", "latitude": 52, "longitude": 13, "name": "", "address": " ", "liveSeconds": null,
                "replyTo": {"id": "msg_1"},
            }),
            vec![
                "name must have 1 to 1000 characters",
                "address must show something: white space and invisible characters alone do not",
                "replyTo.id must be an id that starts with `msg_` and goes on with 26 letters and digits",
            ],
        ),
        (
            json!({"longitude": 13, "text": "x"}),
            vec!["to is missing", "latitude is missing", "text is unknown"],
        ),
    ] {
        let answer = key.send("location", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.faults(), told, "{body}");
    }
    for (seconds, told) in [
        (json!(59), "liveSeconds must be a whole number from 60 to 28800"),
        (
            json!(28_801),
            "liveSeconds must be a whole number from 60 to 28800",
        ),
        (
            json!("900"),
            "liveSeconds must be a whole number from 60 to 28800",
        ),
    ] {
        let body = json!({"to": "15550100002", "latitude": 52, "longitude": 13, "liveSeconds": seconds});
        assert_eq!(key.send("location", body).await.faults(), [told]);
    }
    let named = json!({
        "to": "15550100002", "latitude": 52, "longitude": 13, "liveSeconds": 900, "name": "Here", "address": "There",
    });
    assert_eq!(
        key.send("location", named).await.faults(),
        [
            "name must not be there beside `liveSeconds`: a live place has none",
            "address must not be there beside `liveSeconds`: a live place has none",
        ]
    );
    let ends = json!({"to": "15550100002", "latitude": -90, "longitude": 180, "liveSeconds": null});
    key.send("location", ends).await.data(202);
}

/// The path belongs to the request as the body does.
#[tokio::test]
async fn an_idempotency_key_that_came_with_a_text_is_none_for_a_place() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let key = key.with_header("idempotency-key", "order-42");
    let place = json!({"to": "15550100002", "latitude": 52.50, "longitude": 13});
    let first = key.send("location", place).await.data(202);
    // The same place in other words.
    let again = json!({"longitude": 13.0, "to": "+15550100002", "latitude": 52.5});
    assert_eq!(key.send("location", again).await.data(202), first);
    let text = json!({"to": "15550100002", "text": "x"});
    assert_eq!(
        key.send("text", text).await.error(),
        "409 IDEMPOTENCY_CONFLICT: The idempotency key came with another request before"
    );
}
