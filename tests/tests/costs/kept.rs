//! What it costs to know how a file is fetched, to fetch it, and to keep contents.

use serde_json::json;
use shared::ids::InstanceId;
use testbed::caller::Caller;
use testbed::wait::until;
use tests::flow::{Paired, exchange, pair};

use crate::world::World;
use crate::{Cost, TIMES, cost, incoming, outgoing, total};

/// What a figure of a kind of work is today: the median.
fn check(work: &str, mut costs: Vec<Cost>, today: Cost) {
    println!("{work}: {costs:?}");
    costs.sort();
    assert_eq!(costs[TIMES / 2], today, "{work}: pin the new figure");
}

/// A file from a phone to its count.
async fn file(world: &World, paired: &Paired, instance: InstanceId) -> (Cost, String) {
    let counted = world.counts(instance).await.received;
    let sends = world.queue.sends();
    world.daemon_meter.settled_bill().await;
    let path = format!("/admin/phones/{}/send", paired.other);
    let body = json!({"to": paired.own, "kind": "document", "base64": "SGVsbG8=", "caption": "look"});
    world.phones.post(&path, &body).await;
    until("its count", async || {
        (world.counts(instance).await.received > counted).then_some(())
    })
    .await;
    let cost = Cost {
        units: total(&[&world.daemon_meter.settled_bill().await]),
        sends: world.queue.sends() - sends,
    };
    let log = paired
        .key
        .get("/api/messages?kind=document&limit=1")
        .await
        .data(200);
    let message = log[0]["id"].as_str().expect("an id");
    (cost, message.replace("msg_", "med_"))
}

/// A request for a file that nobody has asked for before: what the daemon does for it.
async fn fetch(world: &World, key: &Caller, media: &str) -> Cost {
    let sends = world.queue.sends();
    world.daemon_meter.settled_bill().await;
    key.get(&format!("/api/media/{media}")).await.data(303);
    Cost {
        units: total(&[&world.daemon_meter.settled_bill().await]),
        sends: world.queue.sends() - sends,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_kept_costs_a_write_unit_each() {
    let world = World::start().await;
    let paired = pair(&world.bases, &world.phones).await;
    exchange(&paired, &world.phones).await;
    exchange(&paired, &world.phones).await;
    let instance = world.instance(&paired).await;
    let (mut files, mut fetched) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let (cost, media) = file(&world, &paired, instance).await;
        files.push(cost);
        fetched.push(fetch(&world, &paired.key, &media).await);
    }
    check("an incoming message with a file", files, cost(4, 0, 0));
    // The file's item is read and written, and the answer stored.
    check("a file that is fetched", fetched, cost(2, 2, 1));

    let path = format!("/api/instances/{}", paired.instance);
    paired.user.put(&path, json!({"contentDays": 14})).await.data(200);
    until("a content that is kept", async || {
        let sent = paired.key.send_text(&paired.other, "is it kept?").await;
        paired.key.until_state(&sent, "delivered").await;
        let body = json!({"to": paired.other, "messageId": sent});
        (paired.key.send("forward", body).await.status == 202).then_some(())
    })
    .await;
    exchange(&paired, &world.phones).await;
    let (mut came, mut sent) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        came.push(incoming(&world, &paired, instance, 0).await);
        sent.push(outgoing(&world, &paired, instance, None, 0).await.1);
    }
    check("an incoming message that is kept", came, cost(4, 0, 0));
    check("a message's life to `read` that is kept", sent, cost(9, 5, 1));
    world.daemon_kept_to_its_rights();
}
