//! Where the file of a message is when the message is accepted.

use std::sync::Arc;

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use functions::service::{self, States};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use shared::bucket::{Area, Bucket, Length, ObjectName};
use shared::clock::Clock as _;
use shared::config;
use shared::domain::content::{Content, MAX_CARRIED, MAX_INLINE, MAX_PART, Media, Source};
use shared::domain::job::{Job, SendJob};
use shared::domain::message::{Change, Direction, Failure, FailureCode, Kind, MessageRecord, State};
use shared::domain::network::Network;
use shared::domain::payload;
use shared::domain::person::Person;
use shared::domain::shard::Shard;
use shared::ids::{InstanceId, MediaId, MessageId};
use shared::sealed;
use shared::storage::keys;
use shared::storage::media::{Taken, Taking};
use shared::storage::messages::Withdrawn;
use shared::storage::schedule::{Entry, Schedule};

use super::media::form;
use crate::flaky_queue::Send;
use crate::support::{Caller, User, World, config};

const TO: &str = "15550100002";

/// Bytes of which no two places look alike.
fn bytes(length: usize) -> Vec<u8> {
    let number = |at: usize| u32::try_from(at).unwrap_or(0).wrapping_mul(2_654_435_761);
    (0..length).map(|at| number(at).to_be_bytes()[0]).collect()
}

/// The names of all objects in the bucket.
fn objects(world: &World) -> Vec<String> {
    let root = world.keys.directory().join("bucket/objects");
    let (mut found, mut open) = (Vec::new(), vec![root.clone()]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(&root).expect("below");
                found.push(name.display().to_string());
            }
        }
    }
    found.sort();
    found
}

async fn stored(bucket: &Bucket, name: &ObjectName) -> Option<Vec<u8>> {
    let mut object = bucket.get(name).await.expect("read")?;
    let mut bytes = Vec::new();
    while let Some(piece) = object.content.next().await {
        bytes.extend_from_slice(&piece.expect("whole"));
    }
    Some(bytes)
}

/// The jobs in the queue, with the versions that their readers need.
async fn jobs(world: &World) -> Vec<(SendJob, Value, usize)> {
    let jobs = world.waiting(&world.queue_names().sends(0)).await;
    let read = |body: &str| {
        let Job::Send(job) = payload::decode(body).expect("ours");
        let json: Value = serde_json::from_str(body).expect("JSON");
        (job, json["v"].clone(), body.len())
    };
    jobs.iter().map(|job| read(&job.body)).collect()
}

async fn content(world: &World, job: &SendJob) -> Media {
    let opening = sealed::open(&world.state.sealer, job.instance, &job.message, &job.content);
    let content: Content = opening.await.expect("opens");
    content.media().expect("a file").clone()
}

async fn entries(world: &World) -> Vec<Entry> {
    let schedule = Schedule::new(world.table.clone());
    let end = world.clock.now() + TimeDelta::days(60);
    let due = schedule.due(Network::Sandbox, Shard(0), end, 100).await;
    let found = due.expect("read").into_iter();
    found.map(|found| found.entry.expect("sound")).collect()
}

async fn counted(world: &World, user: &User) -> u32 {
    let subscription = user.subscription.parse().expect("an id");
    let counters = &world.state.counters;
    let counted = counters.get_used_of_quota(subscription, world.clock.now()).await;
    counted.expect("read").0
}

/// A file that was announced, and perhaps put.
async fn upload(
    world: &World,
    key: &Caller,
    instance: InstanceId,
    file: Value,
    put: Option<&[u8]>,
) -> String {
    let made = key.post("/api/media", file).await.data(201);
    let id: MediaId = made["id"].as_str().expect("a text").parse().expect("an id");
    if let Some(bytes) = put {
        let name = ObjectName::new(Area::Upload, instance, id);
        let piece = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::copy_from_slice(bytes))]);
        let length = Length::Exactly(bytes.len() as u64);
        let bucket = &world.states.messaging.bucket;
        bucket.put(&name, piece, length).await.expect("put");
    }
    id.to_string()
}

/// Whether a message has this upload.
async fn is_taken(world: &World, instance: InstanceId, id: &str) -> bool {
    let item = world
        .item(&keys::media(instance, id.parse().expect("an id")))
        .await;
    item.expect("there").contains_key("takenBy")
}

fn invoice(size: usize) -> Value {
    json!({"fileName": "invoice.pdf", "mimeType": "application/pdf", "size": size})
}

fn by_id(id: &str) -> Value {
    json!({"to": TO, "mediaId": id})
}

fn later(world: &World, days: i64) -> DateTime<Utc> {
    world.clock.now() + TimeDelta::days(days)
}

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

#[tokio::test]
async fn an_upload_is_sent_with_its_name_and_once() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let keyed = key.with_header("idempotency-key", "order-42");
    let first = keyed.send("document", by_id(&id)).await.data(202);
    let message = first["id"].as_str().expect("an id");
    assert_eq!(objects(&world), [format!("outgoing/taken/{instance}/{message}")]);
    let second = key.send("document", by_id(&id)).await;
    assert_eq!(
        second.error(),
        format!(
            "409 CONFLICT: The file is sent with the message {message} already: upload it again to send it again"
        )
    );
    assert_eq!(second.json()["error"]["details"], json!({"messageId": message}));
    assert_eq!(keyed.send("document", by_id(&id)).await.data(202), first);

    let jobs = jobs(&world).await;
    let (job, ..) = &jobs[0];
    let name = job.file.as_ref().expect("its file");
    assert_eq!(
        stored(&world.states.messaging.bucket, name).await.as_deref(),
        Some(&b"%PDF-"[..])
    );
    let file = content(&world, job).await.media;
    assert_eq!(file.file_name.as_deref(), Some("invoice.pdf"));
    assert_eq!(file.mime_type.as_deref(), Some("application/pdf"));

    // Sent, and its file deleted: a repetition is answered all the same.
    let bucket = &world.states.messaging.bucket;
    bucket.delete(name).await.expect("deleted");
    let change = Change {
        state: State::Sent,
        at: world.clock.now(),
        failure: None,
    };
    let changed = world.state.messages.change(instance, job.message, &change).await;
    changed.expect("stored");
    assert_eq!(keyed.send("document", by_id(&id)).await.data(202), first);
    assert_eq!(key.send("document", by_id(&id)).await.code(), "409 CONFLICT");
}

/// Of whoever ended between taking it and making the message nobody hears again.
#[tokio::test]
async fn an_upload_that_a_message_took_of_which_nothing_came_can_be_sent() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    for is_failed in [false, true] {
        let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
        let other = MessageId::new(world.clock.now());
        let taken = Taken {
            message: other,
            object: ObjectName::new(Area::Taken, instance, other),
        };
        let (media, until) = (&world.states.messaging.media, later(&world, 1));
        let taking = media.take(instance, id.parse().expect("an id"), &taken, None, until);
        assert_eq!(taking.await.expect("stored"), Taking::Done);
        let held = key.send("document", by_id(&id)).await;
        assert_eq!(
            held.error(),
            format!(
                "409 CONFLICT: The file is held for the message {other}, which is not accepted yet: repeat that request, or \
                 send the file with another message a minute later"
            )
        );
        assert_eq!(held.json()["error"]["details"], json!({"messageId": other}));
        if is_failed {
            let (to, at) = (TO.parse().expect("a number"), world.clock.now());
            let kind = Kind::Document;
            let record = MessageRecord::new(
                other,
                instance,
                Direction::Outgoing,
                kind,
                to,
                Person::default(),
                at,
            );
            let failure = Failure::of(FailureCode::NotAccepted);
            let withdrawn = world.state.messages.withdraw(&record, &failure).await;
            assert_eq!(withdrawn.expect("stored"), Withdrawn::Done);
        } else {
            world.clock.advance(TimeDelta::minutes(1));
        }
        let accepted = key.send("document", by_id(&id)).await.data(202);
        let message = accepted["id"].as_str().expect("an id");
        let told = key.send("document", by_id(&id)).await.error();
        assert!(
            told.contains(&format!("is sent with the message {message} already")),
            "{told}"
        );
        let name = format!("outgoing/taken/{instance}/{message}");
        assert!(objects(&world).contains(&name), "{:?}", objects(&world));
    }
}

/// Its record may be missing while its job waits: the daemon makes it.
#[tokio::test]
async fn an_upload_whose_message_is_accepted_without_a_record_stays_its() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let accepted = key.send("document", by_id(&id)).await.data(202);
    let message: MessageId = accepted["id"].as_str().expect("a text").parse().expect("an id");
    world.remove_item(&keys::message(instance, message)).await;
    world.clock.advance(TimeDelta::minutes(2));
    let told = key.send("document", by_id(&id)).await.error();
    assert!(
        told.contains(&format!("is sent with the message {message} already")),
        "{told}"
    );
}

/// Else another message could have it, too, and deleting it would not take it from its message.
#[tokio::test]
async fn an_announcement_that_is_repeated_leaves_the_upload_to_its_message() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let keyed = key.with_header("idempotency-key", "upload-1");
    let id = upload(&world, &keyed, instance, invoice(5), Some(b"%PDF-")).await;
    let accepted = key.send("document", by_id(&id)).await.data(202);
    let message = accepted["id"].as_str().expect("an id");
    let again = keyed.post("/api/media", invoice(5)).await;
    let told = format!(
        "409 CONFLICT: The file is sent with the message {message} already: upload it again to send it again"
    );
    assert_eq!(again.error(), told);
    assert_eq!(again.json()["error"]["details"], json!({"messageId": message}));
    assert_eq!(key.send("document", by_id(&id)).await.error(), told);
    key.delete(&format!("/api/media/{id}")).await.data(200);
    assert_eq!(objects(&world), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_caller_says_of_a_document_goes_before_what_was_announced() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"a,b,c")).await;
    let body = json!({"to": TO, "mediaId": id, "fileName": "mine.csv", "mimeType": "text/csv"});
    key.send("document", body).await.data(202);
    let file = content(&world, &jobs(&world).await[0].0).await.media;
    assert_eq!(file.file_name.as_deref(), Some("mine.csv"));
    assert_eq!(file.mime_type.as_deref(), Some("text/csv"));
}

#[tokio::test]
async fn an_upload_that_cannot_be_sent_is_told_when_it_is_named() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let other = world.instance(&user, "support").await;
    world.daemon.pair(other).await;
    let others_key = world.key(&user, other, json!({})).await;
    let others = upload(&world, &others_key, other, invoice(5), Some(b"%PDF-")).await;
    let announced = upload(&world, &key, instance, invoice(5), None).await;
    let video = json!({"fileName": "a.mp4", "mimeType": "video/mp4", "size": 17_000_000});
    let large = upload(&world, &key, instance, video, Some(b"x")).await;
    let deleted = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    key.delete(&format!("/api/media/{deleted}")).await.data(200);
    let unknown = "must be the id of a file that was announced for this instance (`POST /api/media`)";
    let fresh = MediaId::new(world.clock.now()).to_string();
    for (kind, id, told) in [
        ("document", &fresh, unknown),
        ("document", &others, unknown),
        ("document", &deleted, unknown),
        (
            "document",
            &announced,
            "is that of a file which was not put to its `uploadUrl`, or was deleted",
        ),
        (
            "video",
            &large,
            "is that of a file of 17000000 bytes: a message of the kind `video` takes 16777216 at most",
        ),
    ] {
        let refused = key.send(kind, by_id(id)).await;
        assert_eq!(refused.code(), "400 VALIDATION_ERROR", "{}", refused.json());
        let fields = json!([{"field": "mediaId", "message": told}]);
        assert_eq!(refused.json()["error"]["details"]["fields"], fields);
    }
    let refused = key.send("image", by_id(&large)).await;
    assert_eq!(
        refused.error(),
        "415 UNSUPPORTED_MEDIA_TYPE: A message of the kind `image` takes files of image/jpeg, image/png, \
         image/webp, image/gif"
    );
    // None of that took it: once it is there it can be sent.
    let name = ObjectName::new(Area::Upload, instance, &announced);
    let piece = stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(b"%PDF-"))]);
    let bucket = &world.states.messaging.bucket;
    bucket.put(&name, piece, Length::Exactly(5)).await.expect("put");
    key.send("document", by_id(&announced)).await.data(202);
    // After a day it is gone, and so it is told.
    world.clock.advance(TimeDelta::hours(24));
    let gone = key.send("video", by_id(&large)).await;
    assert_eq!(
        gone.error(),
        "410 MEDIA_GONE: The file is not kept any more: an upload can be sent for 24 hours"
    );
    assert_eq!(counted(&world, &user).await, 1);
}

/// Deleting an upload takes it from the message that waits with it.
#[tokio::test]
async fn a_deleted_upload_is_gone_from_its_message_too() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let keyed = key.with_header("idempotency-key", "order-42");
    let first = keyed.send("document", by_id(&id)).await.data(202);
    key.delete(&format!("/api/media/{id}")).await.data(200);
    assert_eq!(objects(&world), Vec::<String>::new());
    assert_eq!(keyed.send("document", by_id(&id)).await.data(202), first);
}

#[tokio::test]
async fn a_message_that_is_refused_leaves_no_file_and_frees_its_upload() {
    let world = World::with(|mut config| {
        config.messaging.schedule_limit = 1;
        config
    })
    .await;
    let (user, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let before = objects(&world);
    let text = json!({"to": TO, "text": "first", "scheduledAt": later(&world, 2).to_rfc3339()});
    key.send("text", text).await.data(202);
    for (body, kind) in [
        (by_id(&id), "document"),
        (
            json!({"to": TO, "base64": STANDARD.encode(bytes(MAX_INLINE))}),
            "voice",
        ),
    ] {
        let mut body = body;
        body["scheduledAt"] = json!(later(&world, 2).to_rfc3339());
        assert_eq!(key.send(kind, body).await.code(), "429 QUEUE_FULL");
        assert_eq!(objects(&world), before);
    }
    // The queue certainly has no job of it.
    world.queue.every_send(Some(Send::NoQueue));
    let refused = key.send("document", by_id(&id)).await;
    assert!(refused.status >= 500, "{}", refused.json());
    assert_eq!(objects(&world), before);
    world.queue.every_send(None);
    // Nobody knows, and nobody will ask again: it is taken back.
    world.queue.every_send(Some(Send::Away));
    assert_eq!(key.send("document", by_id(&id)).await.code(), "503 UNAVAILABLE");
    assert_eq!(objects(&world), before);
    world.queue.every_send(None);
    assert_eq!(counted(&world, &user).await, 1, "the first one alone");
    key.send("document", by_id(&id)).await.data(202);
}

/// Its retry may be accepted with the file while it still waits for the bucket. What it deletes after that is the retry's.
#[tokio::test]
async fn a_refused_request_under_a_key_takes_no_file_from_its_retry() {
    let world = World::with(|mut config| {
        config.messaging.schedule_limit = 1;
        config
    })
    .await;
    let (_, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let at = later(&world, 2).to_rfc3339();
    let text = json!({"to": TO, "text": "first", "scheduledAt": at});
    key.send("text", text).await.data(202);
    let mut uploaded = by_id(&id);
    uploaded["scheduledAt"] = json!(at);
    let inline = json!({"to": TO, "base64": STANDARD.encode(bytes(MAX_INLINE)), "scheduledAt": at});
    for (kind, body, area) in [("document", uploaded, "taken"), ("voice", inline, "own")] {
        let keyed = key.with_header("idempotency-key", kind);
        assert_eq!(keyed.send(kind, body.clone()).await.code(), "429 QUEUE_FULL");
        let is_there = || {
            objects(&world)
                .iter()
                .any(|name| name.starts_with(&format!("later/{area}/")))
        };
        assert!(
            is_there(),
            "a retry may have been accepted with it: {:?}",
            objects(&world)
        );
        assert_eq!(keyed.send(kind, body).await.code(), "429 QUEUE_FULL");
        assert!(
            is_there(),
            "nor does the retry take it from a third: {:?}",
            objects(&world)
        );
    }
    assert!(is_taken(&world, instance, &id).await);
}

/// Where nobody knows whether the job is in the queue, the file stays for it, and a retry writes the same.
#[tokio::test]
async fn a_message_in_doubt_keeps_its_file_for_the_retry() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let inline = json!({"to": TO, "base64": STANDARD.encode(bytes(MAX_INLINE))});
    for (number, mut body) in [by_id(&id), inline].into_iter().enumerate() {
        // Each has a chat of its own: a job that was looked at hides those behind it.
        body["to"] = json!(format!("1555010000{number}"));
        let keyed = key.with_header("idempotency-key", &format!("order-{number}"));
        world.queue.every_send(Some(Send::Away));
        assert_eq!(
            keyed.send("document", body.clone()).await.code(),
            "503 UNAVAILABLE"
        );
        world.queue.every_send(None);
        let before = objects(&world);
        let accepted = keyed.send("document", body).await.data(202);
        let jobs = jobs(&world).await;
        let (job, ..) = jobs.last().expect("one");
        assert_eq!(accepted["id"], json!(job.message));
        let bucket = &world.states.messaging.bucket;
        assert!(
            stored(bucket, job.file.as_ref().expect("its file"))
                .await
                .is_some()
        );
        let ours = job.message.to_string();
        assert!(before.iter().any(|name| name.ends_with(&ours)), "{before:?}");
        assert_eq!(
            objects(&world)
                .iter()
                .filter(|name| name.ends_with(&ours))
                .count(),
            1
        );
    }
}

/// The request before has queued its job and moved the file, and its record is missing. The retry's times are others, and so is
/// its object's name; the job that is queued is the first one's.
#[tokio::test]
async fn a_retry_leaves_the_file_that_the_first_job_names() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let keyed = key.with_header("idempotency-key", "order-42");
    let mut body = by_id(&id);
    // A day and a minute from now is less than a day two minutes later.
    let expires = world.clock.now() + TimeDelta::hours(24) + TimeDelta::minutes(1);
    body["expiresAt"] = json!(expires.to_rfc3339());
    keyed.send("document", body.clone()).await.data(202);
    let (job, ..) = jobs(&world).await.remove(0);
    let first = job.file.expect("its file");
    world.remove_item(&keys::message(instance, job.message)).await;
    world.clock.advance(TimeDelta::minutes(2));
    keyed.send("document", body).await.data(202);
    let retried = format!("outgoing/taken/{instance}/{}", job.message);
    assert_eq!(objects(&world), [first.to_string(), retried]);
    let bucket = &world.states.messaging.bucket;
    assert_eq!(stored(bucket, &first).await.as_deref(), Some(&b"%PDF-"[..]));
}

#[tokio::test]
async fn while_the_bucket_is_away_nothing_is_counted_or_kept() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    let away = Bucket::open(
        &shared::aws::stand_in("http://127.0.0.1:9"),
        &config::Bucket::S3("away".to_owned()),
        world.state.sealer.clone(),
        Arc::new(world.clock.clone()),
    );
    let states = States::new(
        &config(),
        world.state.table.clone(),
        world.queue.clone(),
        world.state.sealer.clone(),
        away.expect("a client"),
        world.mail.clone(),
        Arc::new(world.clock.clone()),
    );
    let without = Caller::in_memory(service::all(states.expect("a queue prefix"))).with_token(key.token());
    let inline = json!({"to": TO, "base64": STANDARD.encode(bytes(MAX_INLINE))});
    for (kind, body) in [("voice", inline.clone()), ("document", by_id(&id))] {
        let refused = without.send(kind, body.clone()).await;
        assert_eq!(refused.code(), "503 UNAVAILABLE");
        assert!(!refused.header("retry-after").is_empty());
        assert!(!is_taken(&world, instance, &id).await, "it can be sent again");
        let keyed = without.with_header("idempotency-key", kind);
        assert_eq!(keyed.send(kind, body).await.code(), "503 UNAVAILABLE");
    }
    assert_eq!(counted(&world, &user).await, 0);
    let records = world.state.messages.list(instance, None, 10).await.expect("read");
    assert_eq!(records, []);
    assert_eq!(jobs(&world).await.len(), 0);
    assert!(is_taken(&world, instance, &id).await, "the retry goes on with it");
    // What needs no bucket goes on.
    without
        .send("text", json!({"to": TO, "text": "hello"}))
        .await
        .data(202);
    // It is back: the same requests go on under their keys.
    for (kind, body) in [("voice", inline), ("document", by_id(&id))] {
        let keyed = key.with_header("idempotency-key", kind);
        keyed.send(kind, body).await.data(202);
    }
}
