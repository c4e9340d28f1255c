//! `GET /api/media/{media}`.

use std::convert::Infallible;

use axum::body::Bytes;
use chrono::TimeDelta;
use futures::stream;
use serde_json::json;
use shared::bucket::{Area, Length, ObjectName};
use shared::clock::Clock;
use shared::domain::instance::Status;
use shared::domain::question::{Ask, FetchMedia, MediaFetched, MediaPlace, Outcome, Refusal};
use shared::ids::{InstanceId, MediaId};
use shared::storage::keys;

use super::photo;
use crate::support::World;

/// A file that came with a message, as the daemon stores what is known of it.
async fn came_in(world: &World, instance: InstanceId) -> MediaId {
    let (state, now) = (&world.state, world.clock.now());
    testbed::kept::file(&state.table, &state.sealer, instance, now).await
}

async fn put(world: &World, object: &ObjectName) {
    let pieces = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"hello"))]);
    let bucket = &world.states.messaging.bucket;
    bucket.put(object, pieces, Length::Exactly(5)).await.expect("put");
}

fn place(place: MediaPlace) -> impl Fn(&Ask) -> Outcome {
    move |_| Ok(MediaFetched { place }.into())
}

#[tokio::test]
async fn a_file_that_was_fetched_is_led_to_as_one_to_be_stored() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let asked = world.answering(place(MediaPlace::Here));
    let id = came_in(&world, instance).await;
    let answer = key.get(&format!("/api/media/{id}")).await;
    let data = answer.data(303);
    assert_eq!(asked.asks(), [FetchMedia { media: id }.into()]);
    let url = data["url"].as_str().expect("a URL");
    assert_eq!(answer.header("location"), url);
    assert_eq!(data["id"], json!(id));
    assert!(
        url.contains(&format!("object=incoming%2F{instance}%2F{id}")),
        "{url}"
    );
    assert!(
        url.contains("type=text%2Fhtml") && url.contains("name=page.html"),
        "{url}"
    );
    assert_eq!(data["expiresAt"], "2026-01-01T00:15:00.000Z");
}

/// The daemon is not asked for what is there, and need not be.
#[tokio::test]
async fn a_file_in_the_bucket_is_to_be_had_without_a_connection_until_its_time_is_over() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let asked = world.answering(place(MediaPlace::Gone));
    let id = came_in(&world, instance).await;
    let path = format!("/api/media/{id}");
    put(&world, &ObjectName::new(Area::Incoming, instance, id)).await;
    let until = world.clock.now() + TimeDelta::days(7);
    let media = &world.states.messaging.media;
    let noted = media
        .note_fetched(instance, id, until, None)
        .await
        .expect("stored");
    assert!(noted);
    world
        .daemon
        .end(instance, Status::Disconnected, "DISCONNECT_REQUESTED")
        .await;
    key.get(&path).await.data(303);
    assert_eq!(asked.asks(), []);

    // The bucket may not have removed it yet.
    world.clock.advance(TimeDelta::days(7));
    assert_eq!(key.get(&path).await.code(), "409 INSTANCE_NOT_CONNECTED");
    world.daemon.observe(instance, Status::Connected).await;
    assert_eq!(key.get(&path).await.code(), "410 MEDIA_GONE");
    assert_eq!(asked.asks(), [FetchMedia { media: id }.into()]);
    // What is known of it goes after 30 days.
    world.clock.advance(TimeDelta::days(23));
    assert_eq!(key.get(&path).await.code(), "404 NOT_FOUND");
}

/// The bucket is the truth: what somebody took out of it is fetched again.
#[tokio::test]
async fn a_file_that_is_noted_and_not_there_is_asked_for() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let asked = world.answering(place(MediaPlace::Here));
    let id = came_in(&world, instance).await;
    let until = world.clock.now() + TimeDelta::days(7);
    let media = &world.states.messaging.media;
    media
        .note_fetched(instance, id, until, None)
        .await
        .expect("stored");
    key.get(&format!("/api/media/{id}")).await.data(303);
    assert_eq!(asked.asks().len(), 1);
}

#[tokio::test]
async fn what_is_not_there_yet_and_what_is_gone_are_told_apart() {
    for (place, code, message) in [
        (
            MediaPlace::UnderWay,
            "504 UPSTREAM_TIMEOUT",
            "The file is still on its way from WhatsApp, and goes on: ask again in a moment",
        ),
        (
            MediaPlace::Gone,
            "410 MEDIA_GONE",
            "WhatsApp does not have the file any more, and the phone does not give it again",
        ),
        (
            MediaPlace::TooLarge,
            "413 PAYLOAD_TOO_LARGE",
            "The file has more than 256 MiB, and larger ones are not fetched from WhatsApp",
        ),
    ] {
        let world = World::new().await;
        let (_, instance, key) = world.ready().await;
        let _asked = world.answering(self::place(place));
        let id = came_in(&world, instance).await;
        let answer = key.get(&format!("/api/media/{id}")).await;
        assert_eq!(answer.error(), format!("{code}: {message}"));
        if place == MediaPlace::UnderWay {
            assert_eq!(answer.header("retry-after"), "5");
            assert_eq!(answer.json()["error"]["details"], json!({"outcome": "unknown"}));
        }
    }
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let _asked = world.answering(|_| Err(Refusal::Unavailable));
    let id = came_in(&world, instance).await;
    assert_eq!(
        key.get(&format!("/api/media/{id}")).await.code(),
        "502 UPSTREAM_ERROR"
    );
}

#[tokio::test]
async fn anothers_file_and_no_file_do_not_exist() {
    let world = World::new().await;
    let (user, instance, key) = world.ready().await;
    let _asked = world.answering(place(MediaPlace::Here));
    let id = came_in(&world, instance).await;
    let other = world.instance(&user, "support").await;
    let other = world.key(&user, other, json!({})).await;
    for (caller, path) in [
        (&other, format!("/api/media/{id}")),
        (&key, "/api/media/med_01JD0000000000000000000000".to_owned()),
        (&key, "/api/media/photo".to_owned()),
    ] {
        assert_eq!(caller.get(&path).await.code(), "404 NOT_FOUND", "{path}");
    }
    let sender = world
        .key(&user, instance, json!({"scopes": ["media:write"]}))
        .await;
    let refused = sender.get(&format!("/api/media/{id}")).await;
    assert_eq!(refused.code(), "403 INSUFFICIENT_SCOPE");
}

#[tokio::test]
async fn an_upload_is_handed_out_once_it_is_there() {
    let world = World::faulty(1).await;
    let (_, instance, key) = world.ready().await;
    let made = key.post("/api/media", photo()).await.data(201);
    let text = made["id"].as_str().expect("a text");
    let path = format!("/api/media/{text}");
    assert_eq!(key.get(&path).await.code(), "404 NOT_FOUND");
    let id: MediaId = text.parse().expect("an id");
    put(&world, &ObjectName::new(Area::Upload, instance, id)).await;
    let singles = world.faults.as_ref().expect("a faulty table").watch("GetItem");
    let data = key.get(&path).await.data(303);
    assert_eq!(singles.hits(), 1, "what is known of it is read once");
    let url = data["url"].as_str().expect("a URL");
    assert!(
        url.contains("type=image%2Fjpeg") && url.contains("name=photo.jpg"),
        "{url}"
    );
}

/// A deleted file is gone, what is known of it too.
#[tokio::test]
async fn a_file_that_came_is_deleted_with_what_is_known_of_it() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let id = came_in(&world, instance).await;
    let object = ObjectName::new(Area::Incoming, instance, id);
    put(&world, &object).await;
    let path = format!("/api/media/{id}");
    key.delete(&path).await.data(200);
    let bucket = &world.states.messaging.bucket;
    assert_eq!(bucket.size(&object).await.expect("read"), None);
    assert!(world.item(&keys::media(instance, id)).await.is_none());
    assert_eq!(key.get(&path).await.code(), "404 NOT_FOUND");
}
