//! Who is let in, what ends it, and how it comes back.

use axum::Router;
use cli::Failure;
use serde_json::json;
use testbed::served::Served;
use testbed::wait::until;
use tests::hook::Hook;
use tests::listening::Listening;
use tests::process::Process;
use tests::wire::Wire;

use super::{Ground, INSTANCE, try_event};
use crate::STACK;

/// The ids that came, in their order.
fn ids(hook: &Hook) -> Vec<String> {
    let heard = hook.heard().into_iter();
    heard
        .map(|heard| heard.event()["id"].as_str().expect("an id").to_owned())
        .collect()
}

async fn until_all(hook: &Hook, wanted: &[String]) {
    until("all events", async || {
        let came = ids(hook);
        wanted.iter().all(|id| came.contains(id)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_is_cut_goes_on_without_loss_and_without_doubles() {
    let ground = Ground::new().await;
    let wire = Wire::to(&ground.stack.api).await;
    let (hook, feed) = (Hook::start().await, wire.url());
    let to = hook.url();
    let more = ["--feed", &*feed, "--forward-to", &to];
    let arguments: Vec<_> = ground.arguments().into_iter().chain(more).collect();
    let listening = Listening::start(&arguments).await;
    let mut all = Vec::new();
    for round in 0..3 {
        for _ in 0..5 {
            all.push(ground.trigger("message.status").await);
        }
        until_all(&hook, &all[..=round * 10]).await;
        // In the middle of what is under way.
        wire.cut();
        for _ in 0..5 {
            all.push(ground.trigger("message.status").await);
        }
        wire.mend(&ground.stack.api);
        until_all(&hook, &all).await;
    }
    let mut came = ids(&hook);
    assert_eq!(came.len(), all.len(), "each came once");
    came.sort_unstable();
    all.sort_unstable();
    assert_eq!(came, all);
    listening.until_note("Not connected").await;
    listening
        .until_note("Connected again: what happened meanwhile follows")
        .await;
    let seen = listening.interrupt().await.expect("it ends in order");
    let notes = seen.notes();
    assert!(
        !notes.iter().any(|note| note.starts_with("Events are missing")),
        "{notes:?}"
    );
    ground.stack.stop().await;
}

/// What a daemon remembers goes with its process.
#[tokio::test]
async fn whoever_comes_back_to_another_process_is_told_that_something_is_missing() {
    let Ground {
        stack,
        data,
        user: _,
        key,
    } = Ground::new().await;
    let wire = Wire::to(&stack.api).await;
    let (hook, address) = (Hook::start().await, wire.url());
    let to = hook.url();
    let arguments = ["--key", key.token(), "--url", &address, "--forward-to", &to];
    let listening = Listening::start(&arguments).await;
    try_event(&key, "message.status").await;
    hook.until(1, |_| true).await;
    wire.cut();
    stack.kill().await;
    let stack = Process::start(STACK, data.path(), &["--sandbox-port", "0"], &[]).await;
    wire.mend(&stack.api);
    listening.until_note("Events are missing").await;
    let key = key.at(&testbed::caller::Bases::one(&stack.api));
    try_event(&key, "message.status").await;
    hook.until(2, |_| true).await;
    listening.interrupt().await.expect("it ends in order");
    stack.stop().await;
}

#[tokio::test]
async fn a_key_that_is_refused_ends_it_with_the_reason() {
    let ground = Ground::new().await;
    let url = &ground.stack.api;
    let nonsense = Listening::run(&["--key", "wak_test_nonsense", "--url", url]);
    let failure = nonsense.end().await;
    assert!(matches!(failure, Failure::KeyRefused(_)), "{failure}");
    assert!(failure.to_string().contains("there is no such key"), "{failure}");
    assert!(!failure.to_string().contains("nonsense"), "{failure}");
    let deaf = ground
        .user
        .key_with(INSTANCE, json!({"scopes": ["media:write"]}))
        .await;
    let failure = Listening::run(&["--key", deaf.token(), "--url", url]).end().await;
    assert!(failure.to_string().contains("none of the scopes"), "{failure}");
    ground.stack.stop().await;
}

#[tokio::test]
async fn a_key_that_is_revoked_ends_it_with_the_reason() {
    let ground = Ground::new().await;
    let listening = Listening::start(&ground.arguments()).await;
    let event = ground.trigger("message.received").await;
    listening.until_line(&[&event]).await;
    let keys = ground.user.get("/api/instances/main/keys").await.data(200);
    let id = keys[0]["id"].as_str().expect("an id");
    ground
        .user
        .delete(&format!("/api/instances/main/keys/{id}"))
        .await
        .data(200);
    let failure = listening.end().await;
    assert!(matches!(failure, Failure::Ended { .. }), "{failure}");
    assert!(failure.to_string().contains("revoked"), "{failure}");
    ground.stack.stop().await;
}

#[tokio::test]
async fn an_address_without_a_feed_is_told() {
    let nothing = Served::start(Router::new()).await;
    let failure = Listening::run(&["--key", "wak_test_1", "--url", &nothing.url()])
        .end()
        .await;
    assert!(
        matches!(failure, Failure::NoFeed { status: 404, .. }),
        "{failure}"
    );
}

#[tokio::test]
async fn whoever_is_not_there_yet_is_waited_for() {
    let wire = Wire::to("127.0.0.1:9").await;
    wire.cut();
    let address = wire.url();
    let listening = Listening::run(&["--key", "wak_test_1", "--url", &address]);
    listening.until_note("Not connected").await;
    listening.interrupt().await.expect("it ends in order");
}
