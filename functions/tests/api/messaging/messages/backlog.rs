//! The cap on an instance's messages that wait to be sent.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use chrono::TimeDelta;
use functions::state::AppState;
use futures::future::join_all;
use serde_json::json;
use shared::clock::Clock;
use shared::ids::InstanceId;
use shared::storage::counters::Counter;
use tower::ServiceExt;

use crate::support::{Answer, User, World, config, request};

const PATH: &str = "/api/messages/text";

async fn world(limit: u32) -> World {
    World::with(|config| shared::config::Functions {
        queue_limit: limit,
        ..config
    })
    .await
}

async fn send(world: &World, key: &str) -> Answer {
    let body = json!({"to": "15550100002", "text": "x"});
    world.post(key, PATH, body).await
}

async fn send_once(world: &World, key: &str, idempotency_key: &str) -> Answer {
    let body = json!({"to": "15550100002", "text": "x"}).to_string();
    let mut request = request("POST", key, PATH, Body::from(body));
    let idempotency_key = idempotency_key.parse().expect("a value");
    request.headers_mut().insert("idempotency-key", idempotency_key);
    world.send(request).await
}

/// As the daemon does when a message is sent.
async fn one_ends(world: &World, instance: InstanceId) {
    let now = world.clock.now();
    let counters = &world.state.counters;
    counters
        .count(instance, &[Counter::Ended], now)
        .await
        .expect("counted");
}

async fn used_of_quota(world: &World, user: &User) -> u32 {
    let subscription = user.subscription.parse().expect("an id");
    let now = world.clock.now();
    let counted = world.state.counters.used_of_quota(subscription, now).await;
    counted.expect("read").0
}

/// Another process of the same deployment.
fn another_process(world: &World, limit: u32) -> Router {
    let config = shared::config::Functions {
        queue_limit: limit,
        ..config()
    };
    let state = AppState::new(
        &config,
        world.state.table.clone(),
        world.queue.clone(),
        world.state.sealer.clone(),
        world.mail.clone(),
        Arc::new(world.clock.clone()),
    );
    functions::all(state.expect("a queue prefix"))
}

#[tokio::test]
async fn of_forty_at_once_to_two_processes_as_many_are_accepted_as_may_wait() {
    let world = world(5).await;
    let (user, _, key) = world.ready().await;
    let routers = [world.router.clone(), another_process(&world, 5)];
    let answers = join_all((0..40).map(async |n| {
        let body = json!({"to": format!("155501{n:05}"), "text": "x"}).to_string();
        let request = request("POST", &key, PATH, Body::from(body));
        let answer = routers[n % 2].clone().oneshot(request).await;
        answer.expect("infallible").status().as_u16()
    }))
    .await;
    assert_eq!(answers.iter().filter(|status| **status == 202).count(), 5);
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 35);
    assert_eq!(world.waiting(&world.queue_names().sends(0)).await.len(), 5);
    // What was refused is not of the quota.
    assert_eq!(used_of_quota(&world, &user).await, 5);
}

#[tokio::test]
async fn a_refused_caller_is_told_how_many_wait_and_goes_on_when_one_has_gone() {
    let world = world(2).await;
    let (user, instance, key) = world.ready().await;
    for _ in 0..2 {
        send(&world, &key).await.data(202);
    }
    let refused = send(&world, &key).await;
    assert_eq!(
        refused.error(),
        "429 QUEUE_FULL: 2 messages of the instance wait to be sent, and 2 may: try again later"
    );
    assert_eq!(
        refused.json()["error"]["details"],
        json!({"limit": 2, "waiting": 2})
    );
    assert_eq!(refused.header("retry-after"), "5");
    // For a second nobody looks; then what has ended makes room for as many.
    one_ends(&world, instance).await;
    assert_eq!(send(&world, &key).await.status, 429);
    world.clock.advance(TimeDelta::seconds(1));
    send(&world, &key).await.data(202);
    assert_eq!(send(&world, &key).await.status, 429);
    assert_eq!(used_of_quota(&world, &user).await, 3);

    // Another instance has room of its own.
    let other = world.instance(&user, "support").await;
    world.pair(other).await;
    let wanted = shared::domain::instance::Wanted::Connected;
    world.state.instances.want(other, wanted).await.expect("stored");
    let other = world.key(&user, other, json!({})).await;
    send(&world, &other).await.data(202);
}

#[tokio::test]
async fn a_replay_is_answered_and_a_refused_request_may_come_again() {
    let world = world(1).await;
    let (_, instance, key) = world.ready().await;
    let first = send_once(&world, &key, "order-1").await.data(202);
    assert_eq!(send_once(&world, &key, "order-2").await.status, 429);
    let replay = send_once(&world, &key, "order-1").await;
    assert_eq!(replay.header("idempotency-replayed"), "true");
    assert_eq!(replay.data(202), first);
    one_ends(&world, instance).await;
    world.clock.advance(TimeDelta::seconds(1));
    let second = send_once(&world, &key, "order-2").await;
    assert_eq!(second.header("idempotency-replayed"), "");
    second.data(202);
}

#[tokio::test]
async fn messages_that_are_lost_do_not_shut_an_instance_for_ever() {
    let world = world(2).await;
    let (user, instance, key) = world.ready().await;
    // Counted by processes that ended before they came to the queue.
    let subscription = user.subscription.parse().expect("an id");
    for _ in 0..2 {
        let counters = &world.state.counters;
        let counted = counters.count_against_quota(subscription, instance, 100, world.clock.now());
        counted.await.expect("counted");
    }
    assert_eq!(send(&world, &key).await.status, 429);
    world.clock.advance(TimeDelta::seconds(59));
    assert_eq!(send(&world, &key).await.status, 429);
    world.clock.advance(TimeDelta::seconds(1));
    send(&world, &key).await.data(202);
    send(&world, &key).await.data(202);
    // These do wait, as the queue knows.
    for _ in 0..3 {
        assert_eq!(send(&world, &key).await.status, 429);
        world.clock.advance(TimeDelta::minutes(1));
    }
}

#[tokio::test]
async fn a_month_begins_with_an_empty_count() {
    let world = world(1).await;
    let (_, _, key) = world.ready().await;
    send(&world, &key).await.data(202);
    assert_eq!(send(&world, &key).await.status, 429);
    world.clock.advance(TimeDelta::days(31));
    send(&world, &key).await.data(202);
    assert_eq!(send(&world, &key).await.status, 429);
}
