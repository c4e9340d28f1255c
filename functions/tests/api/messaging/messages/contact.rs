//! `POST /api/messages/contact`.

use serde_json::{Value, json};
use shared::domain::content::{Card, Contact, Content, MAX_VCARD};
use shared::domain::job::Job;
use shared::domain::payload;
use shared::ids::InstanceId;
use shared::sealed;

use crate::support::World;

const VCARD: &str =
    "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ada Lovelace\r\nitem1.TEL;waid=15550100003:+1 555 3\r\nEND:VCARD";

async fn sent(world: &World, instance: InstanceId) -> Content {
    let jobs = world.waiting(&world.queue_names().sends(0)).await;
    let job = jobs.last().expect("a job");
    assert!(!job.body.contains("Lovelace"));
    let body: Value = serde_json::from_str(&job.body).expect("JSON");
    assert_eq!(body["kind"], "contact");
    let Job::Send(job) = payload::decode(&job.body).expect("ours");
    let id = job.message.to_string();
    let opening = sealed::open(&world.state.sealer, instance, &id, &job.content);
    opening.await.expect("opens")
}

#[tokio::test]
async fn a_name_and_a_number_become_a_card() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let body = json!({"to": "15550100002", "contact": {"name": "Ada Lovelace", "phone": "+15550100003"}});
    assert_eq!(key.send("contact", body).await.data(202)["kind"], "contact");
    let card = Card::of("Ada Lovelace", &"15550100003".parse().expect("a number"));
    let contacts = vec![card];
    assert_eq!(
        sent(&world, instance).await,
        Content::Contact(Contact { contacts })
    );
}

#[tokio::test]
async fn cards_are_sent_as_they_are() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let two = format!("{VCARD}\r\n{}\r\n", VCARD.replace("Ada", "Augusta"));
    let body = json!({"to": "15550100002", "vcard": two});
    key.send("contact", body).await.data(202);
    let Content::Contact(Contact { contacts }) = sent(&world, instance).await else {
        panic!("contacts");
    };
    let names: Vec<_> = contacts.iter().map(|card| card.name.as_str()).collect();
    assert_eq!(names, ["Ada Lovelace", "Augusta Lovelace"]);
    assert_eq!(contacts[0].vcard.as_deref(), Some(VCARD));
    assert_eq!(contacts[1].phones, ["15550100003"]);
}

#[tokio::test]
async fn every_fault_is_named() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let to = "15550100002";
    let ada = json!({"name": "Ada", "phone": "15550100003"});
    let framing =
        "vcard must be one or more vCards, each from BEGIN:VCARD to END:VCARD on lines of their own";
    for (body, told) in [
        (
            json!({"to": to}),
            vec!["contact is missing: one of contact and vcard must be there"],
        ),
        (
            json!({"to": to, "contact": ada, "vcard": VCARD}),
            vec!["vcard must not be there beside contact: one of both is sent"],
        ),
        (
            json!({"to": to, "contact": null}),
            vec!["contact must not be null"],
        ),
        (
            json!({"to": to, "contact": {"name": " ", "phone": "12"}}),
            vec![
                "contact.name must show something: white space and invisible characters alone do not",
                "contact.phone must be a phone number in E.164: 7 to 15 digits with the country code, an optional + before them",
            ],
        ),
        (
            json!({"to": to, "contact": {"name": "Ada", "email": "ada@example.com"}}),
            vec!["contact.phone is missing", "contact.email is unknown"],
        ),
        (
            json!({"to": to, "vcard": ""}),
            vec!["vcard must have 1 to 65536 bytes"],
        ),
        (
            json!({"to": to, "vcard": "x".repeat(MAX_VCARD + 1)}),
            vec!["vcard must have 1 to 65536 bytes"],
        ),
        (json!({"to": to, "vcard": "Ada, 15550100003"}), vec![framing]),
        (
            json!({"to": to, "vcard": VCARD.trim_end_matches("END:VCARD")}),
            vec![framing],
        ),
        (
            json!({"to": to, "vcard": VCARD.replace("FN:", "NOTE:")}),
            vec!["vcard must have an FN in each vCard: the name to show"],
        ),
        (
            json!({"to": to, "vcard": VCARD.replace("Ada", "\u{1}")}),
            vec!["vcard must have no control characters but line breaks and tabs"],
        ),
        (
            json!({"to": to, "vcard": "BEGIN:VCARD\nFN:A\nEND:VCARD\n".repeat(258)}),
            vec!["vcard must have 257 vCards at most"],
        ),
    ] {
        let answer = key.send("contact", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.faults(), told, "{body}");
    }
    assert!(world.waiting(&world.queue_names().sends(0)).await.is_empty());
}
