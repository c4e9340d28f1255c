//! `POST /api/messages/status`.

use serde_json::{Value, json};
use shared::domain::content::{Content, Media, Source, Status};
use shared::domain::job::Job;
use shared::domain::message::Kind;
use shared::domain::payload;
use shared::domain::recipient::Recipient;
use shared::sealed;

use crate::support::World;

#[tokio::test]
async fn a_status_names_nobody_and_needs_a_daemon_who_knows_statuses() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let url = "https://example.com/cat.jpg";
    let file = Media {
        text: Some("a cat".to_owned()),
        source: Some(Source::Url(url.to_owned())),
        ..Media::default()
    };
    let mut sent = Vec::new();
    for (body, shown) in [
        (
            json!({"kind": "text", "text": "see https://example.com", "caption": null, "reference": "order-42"}),
            Content::text("see https://example.com"),
        ),
        (
            json!({"kind": "image", "url": url, "caption": "a cat", "reference": "order-42"}),
            Content::Image(file.clone()),
        ),
        (
            json!({"kind": "video", "url": url, "caption": "a cat", "reference": "order-42"}),
            Content::Video(file),
        ),
    ] {
        let accepted = key.send("status", body).await.data(202);
        assert_eq!(
            (&accepted["kind"], &accepted["status"]),
            (&json!("status"), &json!("queued"))
        );
        assert_eq!(accepted["to"], json!({"phone": null, "lid": null, "group": null}));
        sent.push((accepted["id"].as_str().expect("an id").to_owned(), shown));
    }
    let jobs = world.waiting(&world.queue_names().sends(0)).await;
    for (id, shown) in sent {
        let job = jobs.iter().find(|job| job.body.contains(&id)).expect("a job");
        assert!(!job.body.contains("example.com") && !job.body.contains("a cat"));
        let told: Value = serde_json::from_str(&job.body).expect("JSON");
        assert_eq!((&told["v"], &told["kind"]), (&json!(21), &json!("status")));
        let Job::Send(job) = payload::decode(&job.body).expect("ours");
        assert_eq!(job.to, Recipient::Status);
        let opening = sealed::open(&world.state.sealer, instance, &id, &job.content);
        let content: Content = opening.await.expect("opens");
        let status = Box::new(shown);
        assert_eq!(content, Content::Status(Status { status }));
        let record = world.state.messages.get(instance, job.message).await;
        let record = record.expect("read").expect("there");
        assert_eq!((record.kind, &record.chat), (Kind::Status, &Recipient::Status));
        assert_eq!(record.reference.as_deref(), Some("order-42"));

        let message = key.get(&format!("/api/messages/{id}")).await.data(200);
        assert_eq!(message["to"], json!({"phone": null, "lid": null, "group": null}));
    }
    let listed = key.get("/api/messages?kind=status").await.data(200);
    assert_eq!(listed.as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn a_status_may_be_scheduled_and_taken_back() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let body = json!({
        "kind": "text", "text": "later", "scheduledAt": "2026-01-01T12:00:00Z", "expiresAt": "2026-01-01T13:00:00Z",
    });
    let accepted = key.send("status", body).await.data(202);
    assert_eq!(accepted["status"], "scheduled");
    let id = accepted["id"].as_str().expect("an id");
    let taken_back = key.delete(&format!("/api/messages/{id}")).await;
    assert_eq!(taken_back.status, 200);
    let message = key.get(&format!("/api/messages/{id}")).await.data(200);
    assert_eq!(message["status"], "cancelled");
}

#[tokio::test]
async fn every_fault_is_named() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let exactly_one = "url must be there, or in its place `mediaId`, `base64` or, in a form, the part `file`, and one of them alone";
    for (body, told) in [
        (json!({}), vec!["kind is missing"]),
        (
            json!({"kind": "location"}),
            vec!["kind must be one of text, image, video"],
        ),
        (json!({"kind": "text"}), vec!["text is missing"]),
        (
            json!({"kind": "text", "text": " "}),
            vec!["text must show something: white space and invisible characters alone do not"],
        ),
        (
            json!({"kind": "text", "text": "x", "caption": "x", "url": "https://example.com/x", "mimeType": "image/jpeg"}),
            vec![
                "url must not be there: a text has no file",
                "mimeType must not be there: a text has no file",
                "caption must not be there: what a text says is its `text`",
            ],
        ),
        (json!({"kind": "image"}), vec![exactly_one]),
        (
            json!({"kind": "video", "url": "https://example.com/x", "text": "x"}),
            vec!["text must not be there: what is said below a file is its `caption`"],
        ),
        (
            json!({"kind": "text", "text": "x", "to": "15550100002"}),
            vec!["to is unknown"],
        ),
        (
            json!({"kind": "text", "text": "x", "replyTo": {"id": "msg_01JD0000000000000000000000"}}),
            vec!["replyTo is unknown"],
        ),
        (
            json!({"kind": "text", "text": "x", "mentions": ["15550100002"], "typingMs": 1000}),
            vec!["mentions is unknown", "typingMs is unknown"],
        ),
        (
            json!({"kind": "text", "text": "x", "expiresAt": "2030-01-01T00:00:00Z"}),
            vec!["expiresAt must be an RFC 3339 time in the future, within 3 days"],
        ),
    ] {
        let answer = key.send("status", body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
        assert_eq!(answer.faults(), told, "{body}");
    }
    let other_type = json!({"kind": "video", "url": "https://example.com/x", "mimeType": "image/jpeg"});
    assert_eq!(
        key.send("status", other_type).await.code(),
        "415 UNSUPPORTED_MEDIA_TYPE"
    );
}

/// A status is about no chat, and nothing is said about it but that it is taken back.
#[tokio::test]
async fn a_status_is_no_message_of_a_chat() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let body = json!({"kind": "text", "text": "x"});
    let id = key.send("status", body).await.data(202)["id"].clone();
    let id = id.as_str().expect("an id");
    let reaction = key
        .post(&format!("/api/messages/{id}/reaction"), json!({"emoji": "👍"}))
        .await;
    assert_eq!(reaction.error(), "409 CONFLICT: A status cannot be reacted to");
    let edit = key
        .patch(&format!("/api/messages/{id}"), json!({"text": "y"}))
        .await;
    assert_eq!(
        edit.error(),
        "409 CONFLICT: A status cannot be edited: only texts can"
    );
    let reply = json!({"to": "15550100002", "text": "x", "replyTo": {"id": id}});
    assert_eq!(
        key.send("text", reply).await.faults(),
        ["replyTo.id names a message of another chat"]
    );
    let addressed = json!({"to": "status@broadcast", "text": "x"});
    assert_eq!(key.send("text", addressed).await.code(), "400 VALIDATION_ERROR");
    let bulk = json!({"messages": [{"kind": "status", "text": "x"}]});
    let bulk = key.post("/api/messages/bulk", bulk).await.data(200);
    assert_eq!(bulk["results"][0]["error"]["code"], "VALIDATION_ERROR");
}

#[tokio::test]
async fn the_same_key_is_the_same_status() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let key = key.with_header("idempotency-key", "order-42");
    let first = key
        .send("status", json!({"kind": "text", "text": "x"}))
        .await
        .data(202);
    let again = key
        .send("status", json!({"text": "x", "kind": "text"}))
        .await
        .data(202);
    assert_eq!(first, again);
    let other = key.send("status", json!({"kind": "text", "text": "y"})).await;
    assert_eq!(other.code(), "409 IDEMPOTENCY_CONFLICT");
}
