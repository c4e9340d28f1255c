//! `POST /api/messages/text`.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::json;
use shared::clock::Clock;
use shared::domain::content::{Content, Text};
use shared::domain::instance::{Status, Wanted};
use shared::domain::job::Job;
use shared::domain::message::State;
use shared::domain::payload;
use shared::domain::shard::lane;
use shared::sealed;
use shared::storage::keys;

use crate::support::World;

#[tokio::test]
async fn an_accepted_message_is_a_job_and_a_record() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let body = json!({"to": "+15550100002", "text": "Hello, world", "reference": "order-42"});
    let answer = key.send("text", body).await;
    let data = answer.data(202);
    let id = data["id"].as_str().expect("an id").to_owned();
    assert_eq!(
        data,
        json!({
            "id": id,
            "status": "queued",
            "to": {"phone": "15550100002", "lid": null, "group": null},
            "kind": "text",
            "createdAt": "2026-01-01T00:00:00.000Z",
        })
    );
    assert_eq!(answer.json()["meta"]["instanceName"], json!("sales"));

    let jobs = world.waiting(&world.queue_names().sends(0)).await;
    assert_eq!(jobs.len(), 1);
    assert!(!jobs[0].body.contains("Hello"));
    let Job::Send(job) = payload::decode(&jobs[0].body).expect("ours");
    assert_eq!(job.message.to_string(), id);
    let paired = world
        .state
        .instances
        .get_of_any(instance)
        .await
        .expect("read")
        .expect("there");
    let account = paired.account.expect("paired").person;
    assert_eq!(job.account, Some(account), "it goes out from no other");
    assert_eq!(jobs[0].group, Some(lane(instance, &job.to)));
    assert_eq!(job.expires_at, world.clock.now() + chrono::TimeDelta::hours(24));
    let opening = sealed::open(&world.state.sealer, instance, &id, &job.content);
    let content: Content = opening.await.expect("opens");
    assert_eq!(content, Content::text("Hello, world"));

    let record = world
        .state
        .messages
        .get(instance, job.message)
        .await
        .expect("read")
        .expect("there");
    assert_eq!(record.state, State::Queued);
    assert_eq!(record.reference.as_deref(), Some("order-42"));
}

#[tokio::test]
async fn every_name_of_a_chat_is_taken() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    for (to, shown) in [
        (
            "15550100002",
            json!({"phone": "15550100002", "lid": null, "group": null}),
        ),
        (
            "15550100002@s.whatsapp.net",
            json!({"phone": "15550100002", "lid": null, "group": null}),
        ),
        (
            "lid:100000012345679",
            json!({"phone": null, "lid": "100000012345679", "group": null}),
        ),
        (
            "120363021033254949@g.us",
            json!({"phone": null, "lid": null, "group": "120363021033254949@g.us"}),
        ),
    ] {
        let body = json!({"to": to, "text": "x"});
        let data = key.send("text", body).await.data(202);
        assert_eq!(data["to"], shown);
    }
}

/// Only a text that is to have a preview is left to a daemon that makes previews.
#[tokio::test]
async fn a_text_with_a_link_asks_for_a_preview() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let (linked, plain) = ("see https://example.com/a?b=hush", "nothing to see");
    let cases = [
        (linked, None, true),
        (linked, Some(true), true),
        (linked, Some(false), false),
        (plain, None, false),
        (plain, Some(true), false),
    ];
    let mut ids = Vec::new();
    for (text, wanted, _) in cases {
        let mut body = json!({"to": "15550100002", "text": text});
        if let Some(wanted) = wanted {
            body["linkPreview"] = wanted.into();
        }
        let accepted = key.send("text", body).await.data(202);
        ids.push(accepted["id"].as_str().expect("an id").to_owned());
    }
    let jobs = world.waiting(&world.queue_names().sends(0)).await;
    for (id, (text, wanted, has_preview)) in ids.into_iter().zip(cases) {
        let job = jobs.iter().find(|job| job.body.contains(&id)).expect("a job");
        assert!(!job.body.contains("hush"));
        let told: serde_json::Value = serde_json::from_str(&job.body).expect("JSON");
        assert_eq!(told["v"], if has_preview { 20 } else { 1 }, "{text}, {wanted:?}");
        let Job::Send(job) = payload::decode(&job.body).expect("ours");
        let opening = sealed::open(&world.state.sealer, instance, &id, &job.content);
        let content: Content = opening.await.expect("opens");
        assert_eq!(
            content,
            Content::Text(Text::with_preview(text.to_owned(), has_preview))
        );
    }
    let body = json!({"to": "15550100002", "text": linked, "linkPreview": null});
    assert_eq!(
        key.send("text", body).await.error(),
        "400 VALIDATION_ERROR: `linkPreview` must not be null"
    );
}

#[tokio::test]
async fn what_is_wrong_is_told_by_field() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let told = async |body| key.send("text", body).await.error();
    assert_eq!(
        told(json!({"to": "12345", "text": "x"})).await,
        "400 VALIDATION_ERROR: `to` must be a phone number in E.164 (7 to 15 digits, an optional + before \
         them), `lid:` and digits, or a WhatsApp JID (`…@s.whatsapp.net`, `…@lid`, or a group's id `…@g.us`)"
    );
    for text in [String::new(), "ä".repeat(4_097)] {
        assert_eq!(
            told(json!({"to": "15550100002", "text": text})).await,
            "400 VALIDATION_ERROR: `text` must have 1 to 4096 characters"
        );
    }
    for text in [" \n\u{a0}", "\u{200b}\u{feff}", "\u{2800}"] {
        assert_eq!(
            told(json!({"to": "15550100002", "text": text})).await,
            "400 VALIDATION_ERROR: `text` must show something: white space and invisible characters alone do not"
        );
    }
    for text in ["\0", "before\0after"] {
        assert_eq!(
            told(json!({"to": "15550100002", "text": text})).await,
            "400 VALIDATION_ERROR: `text` must have no NUL character"
        );
    }
    assert_eq!(
        told(json!({"to": "15550100002", "text": "x", "txt": "x"})).await,
        "400 VALIDATION_ERROR: `txt` is unknown"
    );
    assert_eq!(
        told(json!({"to": "15550100002"})).await,
        "400 VALIDATION_ERROR: `text` is missing"
    );
    assert_eq!(
        told(json!({"to": 15_550_100_002_u64, "text": "x"})).await,
        "400 VALIDATION_ERROR: `to` must be a string"
    );
    assert_eq!(
        told(json!({"to": "15550100002", "text": "x", "linkPreview": "any"})).await,
        "400 VALIDATION_ERROR: `linkPreview` must be true or false"
    );
    for at in ["2026-01-01T00:00:00Z", "2026-01-04T00:00:01Z", "tomorrow"] {
        assert_eq!(
            told(json!({"to": "15550100002", "text": "x", "expiresAt": at})).await,
            "400 VALIDATION_ERROR: `expiresAt` must be an RFC 3339 time in the future, within 3 days"
        );
    }
    // The longest text, and an option that is null as if it were not there.
    let body = json!({"to": "15550100002", "text": "😀".repeat(4_096), "replyTo": null});
    key.send("text", body).await.data(202);
}

#[tokio::test]
async fn where_nothing_can_come_of_waiting_the_caller_is_told() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let instance = world.instance(&user, "sales").await;
    let key = world.key(&user, instance, json!({})).await;
    let told = async || {
        let body = json!({"to": "15550100002", "text": "x"});
        let answer = key.send("text", body).await;
        if answer.status == 202 {
            "202".to_owned()
        } else {
            answer.error()
        }
    };
    let refused = "409 INSTANCE_NOT_CONNECTED: ";
    assert_eq!(
        told().await,
        format!(
            "{refused}The instance is not paired with a WhatsApp account: connect it and scan its QR code"
        )
    );
    world.daemon.pair(instance).await;
    assert_eq!(
        told().await,
        format!("{refused}The instance was disconnected: connect it first")
    );
    let wanted = world.state.instances.want(instance, Wanted::Connected).await;
    assert_eq!(wanted.expect("stored").expect("there").generation, 1);
    for (status, is_taken) in [
        (Status::Connected, true),
        (Status::Reconnecting, true),
        (Status::Disconnected, true),
        (Status::LoggedOut, false),
        (Status::ForceDisconnected, false),
        (Status::Banned, false),
    ] {
        world.daemon.observe(instance, status).await;
        assert_eq!(told().await.starts_with("202"), is_taken, "{status}");
    }
}

#[tokio::test]
async fn a_used_up_quota_names_the_day_it_renews() {
    let world = World::new().await;
    let (user, _, key) = world.ready().await;
    let subscription = user.subscription.parse().expect("an id");
    let table = &world.state.table;
    table
        .client()
        .update_item()
        .table_name(table.name())
        .set_key(Some(keys::month(subscription, world.clock.now()).attributes()))
        .update_expression("SET messages = :almost")
        .expression_attribute_values(":almost", AttributeValue::N("9999".into()))
        .send()
        .await
        .expect("stored");
    let body = || json!({"to": "15550100002", "text": "x"});
    key.send("text", body()).await.data(202);
    let answer = key.send("text", body()).await;
    assert_eq!(
        answer.error(),
        "403 QUOTA_EXCEEDED: The month's 10000 messages are used up; the quota renews on 2026-02-01"
    );
    assert_eq!(
        answer.json()["error"]["details"],
        json!({"limit": 10_000, "renewsAt": "2026-02-01T00:00:00.000Z"})
    );
    // The next month's are there.
    world.clock.advance(chrono::TimeDelta::days(31));
    key.send("text", body()).await.data(202);
}
