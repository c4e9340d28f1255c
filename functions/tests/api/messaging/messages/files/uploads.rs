//! Files that callers have uploaded: each is sent with one message.

use axum::body::Bytes;
use chrono::TimeDelta;
use functions::openapi::WHOEVER_SERVES_IT;
use functions::service;
use futures::stream;
use serde_json::json;
use shared::bucket::{Area, Length, ObjectName};
use shared::clock::Clock as _;
use shared::domain::message::{Change, Direction, Failure, FailureCode, Kind, MessageRecord, State};
use shared::domain::person::Person;
use shared::ids::{MediaId, MessageId};
use shared::storage::keys;
use shared::storage::media::{Taken, Taking};
use shared::storage::messages::Withdrawn;

use super::{TO, by_id, content, counted, invoice, jobs, later, objects, stored, upload};
use crate::support::World;

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
        assert_eq!(refused.faults(), [format!("mediaId {told}")]);
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

/// Whatever kind it is sent as. That the document lists what is answered is seen with each answer of this suite.
#[tokio::test]
async fn every_kind_with_a_file_tells_that_an_upload_is_not_to_be_had() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let id = upload(&world, &key, instance, invoice(5), Some(b"%PDF-")).await;
    key.send("document", by_id(&id)).await.data(202);
    let document = serde_json::to_value(service::document(WHOEVER_SERVES_IT)).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let mut requests = Vec::new();
    for (path, item) in paths {
        let body = &item["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let Some(schema) = body.as_str().map(|name| name.trim_start_matches('#')) else {
            continue;
        };
        let properties = &document.pointer(schema).expect("a schema")["properties"];
        if properties["mediaId"].is_null() {
            continue;
        }
        let mut body = json!({"mediaId": id});
        if !properties["to"].is_null() {
            body["to"] = json!(TO);
        }
        if !properties["kind"].is_null() {
            body["kind"] = json!("image");
        }
        requests.push((path, body));
    }
    assert_eq!(requests.len(), 7, "{requests:?}");
    for (path, body) in &requests {
        assert_eq!(key.post(path, body).await.code(), "409 CONFLICT", "{path}");
    }
    world.clock.advance(TimeDelta::hours(26));
    for (path, body) in &requests {
        assert_eq!(key.post(path, body).await.code(), "410 MEDIA_GONE", "{path}");
    }
}
