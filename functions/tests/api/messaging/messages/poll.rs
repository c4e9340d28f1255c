//! `POST /api/messages/poll`.

use serde_json::{Value, json};
use shared::domain::content::{Ballot, Content, Poll};
use shared::domain::job::Job;
use shared::domain::payload;
use shared::sealed;

use crate::support::World;

#[tokio::test]
async fn a_poll_is_queued_as_it_was_asked() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    // Options that differ in case or spaces are two, as WhatsApp has it.
    for given in [None, Some(0), Some(3)] {
        let mut body = json!({
            "to": "15550100002", "question": "Lunch?", "options": ["Soup", "soup", "soup "],
        });
        if let Some(given) = given {
            body["selectable"] = json!(given);
        }
        assert_eq!(key.send("poll", body).await.data(202)["kind"], "poll");
    }
    let jobs = world.waiting(&world.queue_names().sends(0)).await;
    assert_eq!(jobs.len(), 3);
    for (job, selectable) in jobs.iter().zip([1, 0, 3]) {
        assert!(!job.body.contains("Lunch"));
        let body: Value = serde_json::from_str(&job.body).expect("JSON");
        assert_eq!(body["kind"], "poll");
        let Job::Send(job) = payload::decode(&job.body).expect("ours");
        let id = job.message.to_string();
        let opening = sealed::open(&world.state.sealer, instance, &id, &job.content);
        let content: Content = opening.await.expect("opens");
        let options = ["Soup", "soup", "soup "].map(str::to_owned).into();
        let poll = Ballot {
            question: "Lunch?".to_owned(),
            options,
            selectable,
        };
        assert_eq!(content, Content::Poll(Poll { poll }));
    }
}

#[tokio::test]
async fn every_fault_is_named() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let poll = |question: &str, options: &[&str]| json!({"to": "15550100002", "question": question, "options": options});
    let with = |mut body: Value, name: &str, value: Value| {
        body[name] = value;
        body
    };
    let thirteen: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"].into();
    let long = "x".repeat(101);
    for (body, told) in [
        (
            poll("Lunch?", &["Soup", "Salad", "Soup"]),
            vec!["options[2] must not be the same as options[0]"],
        ),
        (
            poll("Lunch?", &thirteen),
            vec!["options must have 2 to 12 entries"],
        ),
        (
            poll("Lunch?", &["Soup"]),
            vec!["options must have 2 to 12 entries"],
        ),
        (
            poll("", &["Soup", &long, " "]),
            vec![
                "question must have 1 to 255 characters",
                "options[1] must have 1 to 100 characters",
                "options[2] must show something: white space and invisible characters alone do not",
            ],
        ),
        (
            poll(&"x".repeat(256), &["Soup", ""]),
            vec![
                "question must have 1 to 255 characters",
                "options[1] must have 1 to 100 characters",
            ],
        ),
        (
            with(poll("Lunch?", &["Soup", "Salad"]), "selectable", json!(3)),
            vec!["selectable must be a whole number from 0 to 2, the number of options"],
        ),
        (
            with(poll("Lunch?", &["Soup", "Salad"]), "selectable", Value::Null),
            vec!["selectable must not be null"],
        ),
        (
            with(poll("Lunch?", &["Soup", "Salad"]), "selectable", json!(-1)),
            vec!["selectable must be a whole number from 0 to 12"],
        ),
        (
            with(poll("Lunch?", &["Soup", "Salad"]), "options", json!(["Soup", 7])),
            vec!["options[1] must be a string"],
        ),
        (
            json!({"to": "15550100002", "name": "Lunch?"}),
            vec!["question is missing", "options is missing", "name is unknown"],
        ),
    ] {
        let answer = key.send("poll", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.faults(), told, "{body}");
    }
    assert!(world.waiting(&world.queue_names().sends(0)).await.is_empty());
}
