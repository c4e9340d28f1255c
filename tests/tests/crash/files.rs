//! Crashes while files are on their way, out and in.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testbed::caller::{Bases, Caller, http};
use testbed::wait::until;
use tests::flow::{Paired, exchange, stats};
use tests::folder::files;
use tests::process::Process;

use crate::World;

impl World {
    /// The bucket's objects. What is half written is none, and is swept in time: a file that is copied over itself leaves such
    /// a name.
    fn objects(&self) -> Vec<PathBuf> {
        let mut files = files(&self.data.path().join("bucket/objects"));
        files.retain(|file| !file.display().to_string().contains('#'));
        files
    }
}

/// A file that is too large to travel in its job.
fn large() -> Vec<u8> {
    (0..=u8::MAX).cycle().take(40_000).collect()
}

async fn sent(key: &Caller) -> u64 {
    let stats = stats(key).await;
    assert_eq!(stats["totals"]["failed"], 0, "{stats}");
    stats["totals"]["sent"].as_u64().expect("a count")
}

/// Sends a document into a crash between its file's put and its job, and again after the restart. Its recipient has it once, it
/// counts once, and nothing of it is left in the bucket.
async fn accepted_through_a_crash(world: &World, paired: Paired, mut stack: Process, body: Value) {
    let send = async |key: &Caller| {
        let key = key.with_header("idempotency-key", "the-same-key");
        let answer = key.try_request(reqwest::Method::POST, "/api/messages/document", &body);
        let data = answer.await?.data(202);
        reqwest::Result::Ok(data["id"].as_str().expect("an id").to_owned())
    };
    assert!(send(&paired.key).await.is_err(), "the crash cuts off its answer");
    stack.until_it_crashes().await;
    assert!(!world.objects().is_empty(), "the file is there");

    let (paired, stack) = world.again(paired).await;
    let before = sent(&paired.key).await;
    assert_eq!(
        world.phones.inbox(&paired.other).await.len(),
        1,
        "what was exchanged before"
    );
    let message = send(&paired.key).await.expect("the API answers");
    assert_eq!(send(&paired.key).await.expect("the API answers"), message);
    paired.key.until_state(&message, "delivered").await;
    let hash = json!(hex::encode(Sha256::digest(large())));
    let inbox = until("the file", async || {
        let inbox = world.phones.inbox(&paired.other).await;
        let is_there = inbox.iter().any(|shown| shown["mediaSha256"] == hash);
        is_there.then_some(inbox)
    });
    assert_eq!(inbox.await.len(), 2);
    until("the end of the file in the bucket", async || {
        world.objects().is_empty().then_some(())
    })
    .await;
    // What is counted behind it is counted after it.
    exchange(&paired, &world.phones).await;
    let counted = until("the count", async || {
        let now = sent(&paired.key).await;
        (now >= before + 2).then_some(now)
    });
    assert_eq!(counted.await, before + 2, "once");
    stack.stop().await;
}

#[tokio::test]
async fn a_file_that_came_with_its_request_goes_out_once_when_that_is_repeated() {
    let world = World::new().await;
    let (paired, stack) = world.paired_with_fault("after-file").await;
    let body = json!({"to": paired.other, "base64": STANDARD.encode(large()), "fileName": "hello.bin"});
    accepted_through_a_crash(&world, paired, stack, body).await;
}

/// The upload was taken by the message whose request was cut off; the same request has it.
#[tokio::test]
async fn a_file_that_was_uploaded_before_goes_out_once_when_its_request_is_repeated() {
    let world = World::new().await;
    let (paired, stack) = world.paired_with_fault("after-file").await;
    let file =
        json!({"fileName": "hello.bin", "mimeType": "application/octet-stream", "size": large().len()});
    let made = paired.key.post("/api/media", file).await.data(201);
    let put = Client::new()
        .put(made["uploadUrl"].as_str().expect("a URL"))
        .header("content-type", "application/octet-stream")
        .body(large());
    let put = put.send().await.expect("an answer");
    assert!(put.status().is_success(), "{}", put.status());
    let body = json!({"to": paired.other, "mediaId": made["id"]});
    accepted_through_a_crash(&world, paired, stack, body).await;
}

/// What was uploaded is forgotten, and the file uploaded anew; the message is shown once.
#[tokio::test]
async fn a_file_that_was_uploaded_goes_out_after_a_restart() {
    let world = World::new().await;
    let (paired, mut stack) = world.paired_with_fault("after-upload").await;
    let body = json!({"to": paired.other, "base64": STANDARD.encode("hello"), "fileName": "hello.txt"});
    let accepted = paired.key.send("document", body).await.data(202);
    let message = accepted["id"].as_str().expect("an id");
    stack.until_it_crashes().await;
    let is_shown = |shown: &&Value| shown["kind"] == "document";
    let before = world.phones.inbox(&paired.other).await;
    assert_eq!(before.iter().filter(is_shown).count(), 0);

    let stack = world.start(&[]).await;
    let paired = paired.at(&Bases::one(&stack.api));
    paired.user.until_status(&paired.instance, "CONNECTED").await;
    paired.key.until_state(message, "delivered").await;
    exchange(&paired, &world.phones).await;
    let inbox = until("the file", async || {
        let inbox = world.phones.inbox(&paired.other).await;
        let is_there = inbox.iter().any(|shown| shown["mediaSha256"].is_string());
        is_there.then_some(inbox)
    });
    let inbox = inbox.await;
    let documents: Vec<_> = inbox.iter().filter(is_shown).collect();
    assert_eq!(documents.len(), 1, "shown once: {inbox:?}");
    assert_eq!(documents[0]["copies"], 1);
    assert_eq!(
        documents[0]["mediaSha256"],
        json!(hex::encode(Sha256::digest(b"hello")))
    );
    stack.stop().await;
}

/// A file that came in is in the bucket, and nobody has noted that. The same request has it, whole.
#[tokio::test]
async fn a_file_that_was_fetched_is_had_after_a_restart() {
    let world = World::new().await;
    let (paired, mut stack) = world.paired_with_fault("after-fetched-file").await;
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(300_000).collect();
    let path = format!("/admin/phones/{}/send", paired.other);
    let file = json!({"to": paired.own, "kind": "document", "base64": STANDARD.encode(&bytes)});
    world.phones.post(&path, &file).await;
    let message = until("the file's message", async || {
        let log = paired.key.get("/api/messages?kind=document").await.data(200);
        let message = log.as_array().expect("a list").first()?.clone();
        Some(message["id"].as_str().expect("an id").to_owned())
    })
    .await;
    let path = format!("/api/media/{}", message.replace("msg_", "med_"));
    let cut_off = paired.key.try_request(reqwest::Method::GET, &path, ()).await;
    assert!(
        cut_off.is_err(),
        "the stack is one process: its API goes with its daemon"
    );
    stack.until_it_crashes().await;

    let stack = world.start(&[]).await;
    let paired = paired.at(&Bases::one(&stack.api));
    paired.user.until_status(&paired.instance, "CONNECTED").await;
    let data = until("the way to the file", async || {
        let answer = paired.key.get(&path).await;
        (answer.status == 303).then(|| answer.data(303))
    })
    .await;
    let got = http().get(data["url"].as_str().expect("a URL")).send().await;
    let got = got.expect("an answer").bytes().await.expect("whole");
    assert_eq!(
        hex::encode(Sha256::digest(&got)),
        hex::encode(Sha256::digest(&bytes))
    );
    stack.stop().await;
}
