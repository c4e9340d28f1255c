//! Crashes while files are on their way, out and in.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use testbed::caller::{Bases, http};
use testbed::wait::until;
use tests::flow::exchange;

use crate::World;

/// What was uploaded is forgotten, and the file uploaded anew; the message is shown once.
#[tokio::test]
async fn a_file_that_was_uploaded_goes_out_after_a_restart() {
    let world = World::new().await;
    let (paired, mut stack) = world.paired_with_fault("after-upload").await;
    let body = json!({"to": paired.other, "base64": STANDARD.encode("hello"), "fileName": "hello.txt"});
    let accepted = paired.key.send("document", body).await.data(202);
    let message = accepted["id"].as_str().expect("an id");
    stack.until_it_crashes().await;
    let is_shown = |shown: &&serde_json::Value| shown["kind"] == "document";
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
    let data = paired.key.get(&path).await.data(303);
    let got = http().get(data["url"].as_str().expect("a URL")).send().await;
    let got = got.expect("an answer").bytes().await.expect("whole");
    assert_eq!(
        hex::encode(Sha256::digest(&got)),
        hex::encode(Sha256::digest(&bytes))
    );
    stack.stop().await;
}
