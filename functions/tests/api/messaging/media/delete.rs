//! `DELETE /api/media/{media}`.

use std::convert::Infallible;

use axum::body::Bytes;
use chrono::TimeDelta;
use futures::stream;
use serde_json::json;
use shared::bucket::{Area, Length, ObjectName};
use shared::ids::MediaId;
use shared::storage::keys;

use super::photo;
use crate::support::World;

#[tokio::test]
async fn a_deleted_file_is_gone_from_the_table_and_from_the_bucket() {
    let world = World::new().await;
    let (_, instance, key) = world.ready().await;
    let made = key.post("/api/media", photo()).await.data(201);
    let text = made["id"].as_str().expect("a text");
    let id: MediaId = text.parse().expect("an id");
    let object = ObjectName::new(Area::Upload, instance, id);
    let bucket = &world.states.messaging.bucket;
    let pieces = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"hello"))]);
    bucket
        .put(&object, pieces, Length::Exactly(5))
        .await
        .expect("put");

    let path = format!("/api/media/{text}");
    assert_eq!(
        key.delete(&path).await.data(200),
        json!({"id": text, "deleted": true})
    );
    assert!(world.item(&keys::media(instance, id)).await.is_none());
    assert_eq!(bucket.size(&object).await.expect("read"), None);
    assert_eq!(key.delete(&path).await.code(), "404 NOT_FOUND");
}

#[tokio::test]
async fn another_instances_file_does_not_exist_nor_does_one_whose_time_is_over() {
    let world = World::new().await;
    let (user, _, key) = world.ready().await;
    let made = key.post("/api/media", photo()).await.data(201);
    let path = format!("/api/media/{}", made["id"].as_str().expect("a text"));
    let other = world.instance(&user, "support").await;
    let other = world.key(&user, other, json!({})).await;
    assert_eq!(other.delete(&path).await.code(), "404 NOT_FOUND");
    world.clock.advance(TimeDelta::hours(24));
    assert_eq!(key.delete(&path).await.code(), "404 NOT_FOUND");
}
