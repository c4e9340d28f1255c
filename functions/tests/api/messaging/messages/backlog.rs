//! The cap on an instance's messages that wait to be sent.

use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::json;
use shared::clock::Clock;
use shared::domain::counting::Counter;
use shared::domain::instance::Status;
use shared::ids::InstanceId;
use shared::storage::counters::Basis;

use crate::support::{Answer, Caller, User, World};

async fn world(limit: u32) -> World {
    World::with(|mut config| {
        config.messaging.queue_limit = limit;
        config
    })
    .await
}

async fn send(key: &Caller) -> Answer {
    let body = json!({"to": "15550100002", "text": "x"});
    key.send("text", body).await
}

async fn send_once(key: &Caller, idempotency_key: &str) -> Answer {
    let key = key.with_header("idempotency-key", idempotency_key);
    send(&key).await
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
    let counted = world.state.counters.get_used_of_quota(subscription, now).await;
    counted.expect("read").0
}

/// Another process of the same deployment.
fn another_process(world: &World, limit: u32) -> Caller {
    World::another(world, |mut config| {
        config.messaging.queue_limit = limit;
        config
    })
}

#[tokio::test]
async fn of_forty_at_once_to_two_processes_as_many_are_accepted_as_may_wait() {
    let world = world(5).await;
    let (user, _, key) = world.ready().await;
    let keys = [key.clone(), another_process(&world, 5).with_token(key.token())];
    let answers = join_all((0..40).map(async |n| {
        let body = json!({"to": format!("155501{n:05}"), "text": "x"});
        keys[n % 2].send("text", body).await.status
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
        send(&key).await.data(202);
    }
    let refused = send(&key).await;
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
    assert_eq!(send(&key).await.status, 429);
    world.clock.advance(TimeDelta::seconds(1));
    send(&key).await.data(202);
    assert_eq!(send(&key).await.status, 429);
    assert_eq!(used_of_quota(&world, &user).await, 3);

    // Another instance has room of its own.
    let other = world.instance(&user, "support").await;
    world.daemon.pair(other).await;
    let wanted = shared::domain::instance::Wanted::Connected;
    world.state.instances.want(other, wanted).await.expect("stored");
    let other = world.key(&user, other, json!({})).await;
    send(&other).await.data(202);
}

#[tokio::test]
async fn a_replay_is_answered_and_a_refused_request_may_come_again() {
    let world = world(1).await;
    let (_, instance, key) = world.ready().await;
    let first = send_once(&key, "order-1").await.data(202);
    assert_eq!(send_once(&key, "order-2").await.status, 429);
    let replay = send_once(&key, "order-1").await;
    assert_eq!(replay.header("idempotency-replayed"), "true");
    assert_eq!(replay.data(202), first);
    one_ends(&world, instance).await;
    world.clock.advance(TimeDelta::seconds(1));
    let second = send_once(&key, "order-2").await;
    assert_eq!(second.header("idempotency-replayed"), "");
    second.data(202);
}

#[tokio::test]
async fn messages_that_are_lost_do_not_shut_an_instance_for_ever_however_short_processes_live() {
    let world = world(2).await;
    let (user, instance, key) = world.ready().await;
    // Counted by processes that ended before they came to the queue.
    let subscription = user.subscription.parse().expect("an id");
    for _ in 0..2 {
        let counters = &world.state.counters;
        let counted = counters.count_against_quota(subscription, instance, 100, world.clock.now());
        counted.await.expect("counted");
    }
    // Each by a process of its own, of which none lives to see the next.
    let send_elsewhere = async || {
        send(&another_process(&world, 2).with_token(key.token()))
            .await
            .status
    };
    for _ in 0..4 {
        assert_eq!(send_elsewhere().await, 429);
        world.clock.advance(TimeDelta::seconds(15));
    }
    assert_eq!(send_elsewhere().await, 202);
    assert_eq!(send_elsewhere().await, 202);
    // These do wait, as the queue knows.
    for _ in 0..6 {
        assert_eq!(send_elsewhere().await, 429);
        world.clock.advance(TimeDelta::minutes(1));
    }
    assert_eq!(used_of_quota(&world, &user).await, 4);
}

/// Their jobs are in the due index, and the queue knows nothing of them.
#[tokio::test]
async fn messages_that_are_put_off_are_not_taken_for_lost() {
    let world = world(2).await;
    let (_, instance, key) = world.ready().await;
    let (now, counters) = (world.clock.now(), &world.state.counters);
    for _ in 0..2 {
        send(&key).await.data(202);
        let counted = counters.count(instance, &[Counter::PutOff], now).await;
        counted.expect("counted");
    }
    // A daemon has taken their jobs out.
    let sends = world.queue_names().sends(0);
    for received in world.waiting(&sends).await {
        let deleted = world.state.queue.delete(&sends, &received.receipt).await;
        deleted.expect("deleted");
    }
    for _ in 0..6 {
        assert_eq!(send(&key).await.status, 429);
        world.clock.advance(TimeDelta::minutes(1));
    }
    // One comes back and ends.
    let ended = [Counter::Back, Counter::Ended];
    let counted = counters.count(instance, &ended, world.clock.now()).await;
    counted.expect("counted");
    send(&key).await.data(202);
    assert_eq!(send(&key).await.status, 429);
}

#[tokio::test]
async fn messages_that_are_lost_do_not_shut_an_instance_whose_shard_others_fill() {
    let world = world(2).await;
    let (user, instance, key) = world.ready().await;
    for name in ["support", "orders"] {
        let other = world.instance(&user, name).await;
        world.daemon.pair(other).await;
        let wanted = shared::domain::instance::Wanted::Connected;
        world.state.instances.want(other, wanted).await.expect("stored");
        let other = world.key(&user, other, json!({})).await;
        for _ in 0..2 {
            send(&other).await.data(202);
        }
    }
    let subscription = user.subscription.parse().expect("an id");
    for _ in 0..2 {
        let counters = &world.state.counters;
        let counted = counters.count_against_quota(subscription, instance, 100, world.clock.now());
        counted.await.expect("counted");
    }
    let mut refused = 0;
    while send(&key).await.status == 429 {
        refused += 1;
        assert!(refused < 15, "it is shut for ever");
        world.clock.advance(TimeDelta::minutes(1));
    }
    assert!(refused >= 5, "what is missing for a moment is not lost");
    send(&key).await.data(202);
    // These do wait, as their records say.
    for _ in 0..15 {
        assert_eq!(send(&key).await.status, 429);
        world.clock.advance(TimeDelta::minutes(1));
    }
    assert_eq!(world.waiting(&world.queue_names().sends(0)).await.len(), 6);
}

#[tokio::test]
async fn what_was_missing_for_a_moment_only_is_not_taken_for_lost() {
    let world = world(2).await;
    let (_, instance, _) = world.ready().await;
    let doubt = async |missing| {
        let doubt = world
            .state
            .counters
            .doubt(instance, Basis::Queue, missing, world.clock.now());
        doubt.await.expect("stored")
    };
    // The queue has not counted a burst yet, and then it has.
    assert_eq!(doubt(2).await, 0);
    world.clock.advance(TimeDelta::seconds(30));
    assert_eq!(doubt(0).await, 0);
    world.clock.advance(TimeDelta::seconds(30));
    assert_eq!(doubt(2).await, 0, "the doubt begins here");
    world.clock.advance(TimeDelta::seconds(59));
    assert_eq!(doubt(1).await, 0);
    world.clock.advance(TimeDelta::seconds(1));
    assert_eq!(doubt(2).await, 1, "the least that was told in between");
    assert_eq!(doubt(1).await, 0, "and it begins anew");
    world.clock.advance(TimeDelta::minutes(30));
    assert_eq!(doubt(1).await, 0, "too long ago");
}

#[tokio::test]
async fn an_instance_that_is_not_connected_may_have_fewer_waiting() {
    let world = World::with(|mut config| {
        config.messaging.queue_limit = 3;
        config.messaging.offline_queue_limit = 1;
        config
    })
    .await;
    let (_, instance, key) = world.ready().await;
    world.daemon.observe(instance, Status::Reconnecting).await;
    send(&key).await.data(202);
    let refused = send(&key).await;
    assert_eq!(
        refused.json()["error"]["details"],
        json!({"limit": 1, "waiting": 1})
    );
    world.daemon.observe(instance, Status::Connected).await;
    send(&key).await.data(202);
    send(&key).await.data(202);
    assert_eq!(send(&key).await.status, 429);
}

#[tokio::test]
async fn a_shard_has_a_cap_that_no_tenant_reaches_alone() {
    let world = World::with(|mut config| {
        config.messaging.shard_queue_limit = 3;
        config
    })
    .await;
    let (user, _, key) = world.ready().await;
    for _ in 0..3 {
        send(&key).await.data(202);
    }
    let refused = send(&key).await;
    assert_eq!(
        refused.error(),
        "429 QUEUE_FULL: Too many messages wait to be sent in this part of the service: try again later"
    );
    let details = &refused.json()["error"]["details"];
    assert_eq!(*details, json!({"limit": 3, "waiting": 3, "scope": "shard"}));
    assert_eq!(used_of_quota(&world, &user).await, 3);
    // A process that has not sent any of them finds the same.
    let elsewhere = World::another(&world, |mut config| {
        config.messaging.shard_queue_limit = 3;
        config
    });
    assert_eq!(send(&elsewhere.with_token(key.token())).await.status, 429);
    // One is sent.
    let sends = world.queue_names().sends(0);
    let waiting = world.waiting(&sends).await;
    world
        .state
        .queue
        .delete(&sends, &waiting[0].receipt)
        .await
        .expect("deleted");
    world.clock.advance(TimeDelta::seconds(1));
    send(&key).await.data(202);
    assert_eq!(send(&key).await.status, 429);
}

#[tokio::test]
async fn a_month_begins_with_an_empty_count() {
    let world = world(1).await;
    let (_, _, key) = world.ready().await;
    send(&key).await.data(202);
    assert_eq!(send(&key).await.status, 429);
    world.clock.advance(TimeDelta::days(31));
    send(&key).await.data(202);
    assert_eq!(send(&key).await.status, 429);
}
