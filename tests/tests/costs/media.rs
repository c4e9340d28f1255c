//! What a file of a message costs beyond a text: of the table, and of the bucket.

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};
use shared::bucket::{Area, Length, ObjectName};
use shared::ids::InstanceId;
use testbed::wait::until;
use tests::flow::{Paired, exchange, pair};

use super::world::World;
use super::{TIMES, total};

/// The design's bounds: write units more than a text, and requests to the bucket. Deletions cost nothing.
const MOST_WRITES: u64 = 1;
const MOST_REQUESTS: u64 = 2;

/// A small file more than a job carries.
const SIZE: usize = 20_000;

/// What a message costs from its request until its file is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    writes: u64,
    requests: u64,
}

async fn cost(world: &World, paired: &Paired, instance: InstanceId, kind: &str, body: Value) -> Cost {
    let counted = world.counts(instance).await.sent;
    let requests = || {
        world
            .buckets
            .iter()
            .map(shared::bucket::Bucket::requests)
            .sum::<u64>()
    };
    let before = requests();
    world.api_meter.settled_bill().await;
    world.daemon_meter.settled_bill().await;
    let mut body = body;
    body["to"] = json!(paired.other);
    let accepted = paired.key.send(kind, body).await.data(202);
    let message = accepted["id"].as_str().expect("an id");
    until("its sending and its count", async || {
        let is_sent = world.state(instance, message).await == "sent";
        (is_sent && world.counts(instance).await.sent > counted).then_some(())
    })
    .await;
    let bills = [
        world.api_meter.settled_bill().await,
        world.daemon_meter.settled_bill().await,
    ];
    Cost {
        writes: total(&[&bills[0], &bills[1]]).writes,
        requests: requests() - before,
    }
}

/// What the cheapest of some such messages costs: where a daemon is faster with one than the API with its record, that one
/// costs a write more.
async fn least(
    world: &World,
    paired: &Paired,
    instance: InstanceId,
    kind: &str,
    body: impl AsyncFn() -> Value,
) -> Cost {
    let mut costs = Vec::new();
    for _ in 0..TIMES {
        costs.push(cost(world, paired, instance, kind, body().await).await);
    }
    println!("{kind}: {costs:?}");
    costs.into_iter().min().expect("some")
}

/// A file that is uploaded.
async fn upload(world: &World, paired: &Paired, instance: InstanceId) -> Value {
    let file = json!({"fileName": "a.bin", "mimeType": "application/x-any", "size": SIZE});
    let id = paired.key.post("/api/media", file).await.data(201)["id"].clone();
    let name = ObjectName::new(Area::Upload, instance, id.as_str().expect("an id"));
    let piece = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![7; SIZE]))]);
    let putting = world.buckets[0].put(&name, piece, Length::Exactly(SIZE as u64));
    putting.await.expect("put");
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_costs_what_the_design_says() {
    let world = World::start().await;
    let paired = pair(&world.bases, &world.phones).await;
    exchange(&paired, &world.phones).await;
    let instance = world.instance(&paired).await;
    // What comes of receipts would be on the bill.
    world.phone_is(&paired.other, "offline").await;
    let text = async || json!({"text": "hello"});
    let text = least(&world, &paired, instance, "text", text).await;
    assert_eq!(text.requests, 0);

    let carried = json!({"base64": STANDARD.encode("a,b"), "mimeType": "text/csv"});
    let put = json!({"base64": STANDARD.encode(vec![7; SIZE])});
    let uploaded = async || json!({"mediaId": upload(&world, &paired, instance).await});
    let kind = "document";
    let files = [
        least(&world, &paired, instance, kind, async || carried.clone()).await,
        least(&world, &paired, instance, kind, async || put.clone()).await,
        least(&world, &paired, instance, kind, uploaded).await,
    ];
    for ((what, today), file) in [
        ("a small file", (0, 0)),
        ("a file", (0, 2)),
        ("an upload", (1, 2)),
    ]
    .into_iter()
    .zip(files)
    {
        println!("{what}: {file:?}, a text: {text:?}");
        let more = (file.writes - text.writes, file.requests);
        assert!(
            more.0 <= MOST_WRITES && more.1 <= MOST_REQUESTS,
            "{what}: {more:?}"
        );
        assert_eq!(more, today, "{what}: pin the new figure");
    }
    world.daemon_kept_to_its_rights();
}
