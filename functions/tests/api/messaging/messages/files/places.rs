//! Where files rest, and for how long.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use shared::domain::content::{MAX_CARRIED, MAX_INLINE, MAX_PART, Source};
use shared::domain::job::Job;
use shared::domain::payload;

use super::{TO, by_id, bytes, content, entries, invoice, jobs, later, objects, stored, upload};
use crate::messaging::messages::media::form;
use crate::support::World;

#[tokio::test]
async fn a_file_goes_to_the_bucket_and_its_job_stays_small() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let large = bytes(MAX_INLINE);
    let mut accepted = Vec::new();
    for file in [&large[..], &large[..=MAX_CARRIED], &large[..MAX_CARRIED]] {
        let body = json!({"to": TO, "base64": STANDARD.encode(file), "fileName": "a.bin"});
        accepted.push(key.send("document", body).await.data(202));
    }
    let jobs = jobs(&world).await;
    for ((job, version, length), file) in jobs.iter().zip([&large[..], &large[..=MAX_CARRIED]]) {
        let name = job.file.as_ref().expect("its file");
        assert_eq!(
            name.to_string(),
            format!("outgoing/own/{instance}/{}", job.message),
            "called by its message"
        );
        assert!(stored(&world.states.messaging.bucket, name).await.as_deref() == Some(file));
        let media = content(&world, job).await;
        assert!(media.source == Some(Source::Stored(name.clone())));
        assert_eq!(media.media.file_name.as_deref(), Some("a.bin"));
        assert!(*length < 2_000, "{length} bytes");
        assert_eq!(*version, json!(Source::VERSION), "an older daemon leaves it");
    }
    let (small, version, _) = &jobs[2];
    assert_eq!(
        (small.file.as_ref(), version),
        (None, &json!(12)),
        "it carries its file"
    );
    assert!(matches!(
        content(&world, small).await.source,
        Some(Source::Inline(_))
    ));
    assert_eq!(objects(&world).len(), 2);
}

#[tokio::test]
async fn a_form_brings_four_mebibytes() {
    let world = World::new().await;
    let (_, _, key) = world.ready().await;
    let key = key.with_header("content-type", "multipart/form-data; boundary=frontier");
    let key = key.with_header("idempotency-key", "order-42");
    let file = bytes(MAX_PART);
    let parts = |file: &[u8]| {
        let head = "; filename=\"a.bin\"\r\ncontent-type: application/x-any";
        form(&[("to", "", TO.as_bytes()), ("file", head, file)])
    };
    let first = key.send("document", parts(&file)).await.data(202);
    assert_eq!(key.send("document", parts(&file)).await.data(202), first);
    let other = key.send("document", parts(&file[1..])).await;
    assert_eq!(other.code(), "409 IDEMPOTENCY_CONFLICT");
    let jobs = jobs(&world).await;
    let name = jobs[0].0.file.as_ref().expect("its file");
    assert!(stored(&world.states.messaging.bucket, name).await.as_deref() == Some(&file[..]));
    assert_eq!(objects(&world).len(), 1, "a retry writes the same object");
    let over = key.with_header("idempotency-key", "order-43");
    let over = over.send("document", parts(&bytes(MAX_PART + 1))).await;
    assert_eq!(
        over.error(),
        "413 PAYLOAD_TOO_LARGE: The part `file` is larger than 4 MiB: upload it, or name its URL"
    );
    let beyond = key.send("document", parts(&bytes(MAX_PART + 100_000))).await;
    assert_eq!(
        beyond.error(),
        "413 PAYLOAD_TOO_LARGE: The body is larger than 4259840 bytes"
    );
}

/// A file of a message that is due in 30 days rests for as long as that may be sent, and its entry has no part of it.
#[tokio::test]
async fn a_file_waits_with_its_message() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let file = bytes(MAX_INLINE);
    let at = later(&world, 29).to_rfc3339();
    let inline = json!({"to": TO, "base64": STANDARD.encode(&file), "scheduledAt": at});
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let mut uploaded = by_id(&id);
    uploaded["scheduledAt"] = json!(at);
    let mut messages = Vec::new();
    for body in [inline, uploaded] {
        let accepted = key.send("document", body).await.data(202);
        messages.push(accepted["id"].as_str().expect("an id").to_owned());
    }
    let wanted = [
        format!("later/own/{instance}/{}", messages[0]),
        format!("later/taken/{instance}/{}", messages[1]),
    ];
    assert_eq!(objects(&world), wanted, "the upload has no other name any more");
    for entry in entries(&world).await {
        let body = entry.job.expect("a job").body;
        assert!(body.len() < 2_000, "{} bytes", body.len());
        let Job::Send(job) = payload::decode(&body).expect("ours");
        let name = job.file.expect("its file");
        assert!(name.area().term() >= job.expires_at - job.accepted_at);
    }
    for message in &messages {
        key.delete(&format!("/api/messages/{message}")).await.data(200);
    }
    assert_eq!(objects(&world), Vec::<String>::new(), "taken back with them");
}

#[tokio::test]
async fn a_waiting_message_that_is_taken_back_takes_its_file_along() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    for is_upload in [false, true] {
        let body = if is_upload {
            by_id(&upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await)
        } else {
            json!({"to": TO, "base64": STANDARD.encode(bytes(MAX_INLINE))})
        };
        let accepted = key.send("document", body).await.data(202);
        assert_eq!(objects(&world).len(), 1);
        let path = format!("/api/messages/{}", accepted["id"].as_str().expect("an id"));
        key.delete(&path).await.data(200);
        assert_eq!(objects(&world), Vec::<String>::new());
    }
}
