//! Where the file of a message is when the message is accepted.

mod places;
mod retries;
mod uploads;

use axum::body::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use shared::bucket::{Area, Bucket, Length, ObjectName};
use shared::clock::Clock as _;
use shared::domain::content::{Content, Media};
use shared::domain::job::{Job, SendJob};
use shared::domain::network::Network;
use shared::domain::payload;
use shared::domain::shard::Shard;
use shared::ids::{InstanceId, MediaId};
use shared::sealed;
use shared::storage::keys;
use shared::storage::schedule::{Entry, Schedule};

use crate::support::{Caller, User, World};

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
