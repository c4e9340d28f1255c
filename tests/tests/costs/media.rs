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

use super::total;
use super::world::World;

/// The design's bounds: write units more than a text, and requests to the bucket. Deletions cost nothing.
const MOST_WRITES: u64 = 1;
const MOST_REQUESTS: u64 = 2;

/// A small file more than a job carries.
const SIZE: usize = 20_000;

/// What a message costs from its request until its file is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    world.api_meter.take_bill();
    world.daemon_meter.take_bill();
    let mut body = body;
    body["to"] = json!(paired.other);
    let accepted = paired.key.send(kind, body).await.data(202);
    let message = accepted["id"].as_str().expect("an id");
    until("its sending and its count", async || {
        let is_sent = world.state(instance, message).await == "sent";
        (is_sent && world.counts(instance).await.sent > counted).then_some(())
    })
    .await;
    let mut bills = [world.api_meter.take_bill(), world.daemon_meter.take_bill()];
    // A key's rate is written down now and then, whatever it is used for.
    bills[0].remove("rate");
    Cost {
        writes: total(&[&bills[0], &bills[1]]).writes,
        requests: requests() - before,
    }
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
    let text = cost(&world, &paired, instance, "text", json!({"text": "hello"})).await;
    assert_eq!(text.requests, 0);

    let base64 = STANDARD.encode(vec![7; SIZE]);
    let carried = json!({"base64": STANDARD.encode("a,b"), "mimeType": "text/csv"});
    for (what, body, today) in [
        ("a small file", carried, (0, 0)),
        ("a file", json!({"base64": base64}), (0, 2)),
        (
            "an upload",
            json!({"mediaId": upload(&world, &paired, instance).await}),
            (1, 2),
        ),
    ] {
        let file = cost(&world, &paired, instance, "document", body).await;
        println!("{what}: {file:?}, a text: {text:?}");
        let more = (file.writes - text.writes, file.requests);
        assert!(
            more.0 <= MOST_WRITES && more.1 <= MOST_REQUESTS,
            "{what}: {more:?}"
        );
        assert_eq!(more, today, "{what}: pin the new figure");
    }
}
