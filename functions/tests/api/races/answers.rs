//! Writes that were executed and whose answer was lost. The SDK sends them again, and the second run must recognise
//! the first. A write that adds to a number cannot, so it is not sent again.

use chrono::TimeDelta;
use serde_json::json;
use shared::clock::Clock;
use shared::domain::audit::Action;
use shared::domain::counting::Counter;
use shared::domain::instance::Wanted;
use shared::storage::counters::{Basis, Quota};
use shared::storage::lockouts::{self, Attempt};
use shared::storage::rates::{Limit, Rates, Scope};
use testbed::relay::Fate;

use crate::management::people::{self, text};
use crate::support::{PASSWORD, World};

const SEED: u64 = 1;

#[tokio::test]
async fn a_lost_answer_to_a_refresh_is_no_replay() {
    let world = World::faulty(SEED).await;
    let user = world.register("ada@example.com").await;
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("UpdateItem", "session#", [Fate::LOST]);
    let body = json!({"refreshToken": user.refresh_token});
    let data = world.nobody.post("/api/auth/refresh", body).await.data(200);
    assert!(faults.is_done());
    let access = text(&data["tokens"]["accessToken"]);
    assert_eq!(world.caller(&access).get("/api/auth/me").await.status, 200);
    let body = json!({"refreshToken": data["tokens"]["refreshToken"]});
    world.nobody.post("/api/auth/refresh", body).await.data(200);
}

#[tokio::test]
async fn a_lost_answer_to_a_new_session_fails_no_login() {
    let world = World::faulty(SEED).await;
    world.register("ada@example.com").await;
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("PutItem", "session#", [Fate::LOST]);
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let data = world.nobody.post("/api/auth/login", body).await.data(200);
    assert!(faults.is_done());
    let access = text(&data["tokens"]["accessToken"]);
    assert_eq!(world.caller(&access).get("/api/auth/me").await.status, 200);
}

/// The service may say that the transaction is still under way when it is asked again.
#[tokio::test]
async fn a_lost_answer_to_a_transaction_is_no_refusal() {
    let world = World::faulty(SEED).await;
    let user = world.register("ada@example.com").await;
    let faults = world.faults.as_ref().expect("faults");
    faults.plan(
        "TransactWriteItems",
        "instanceCount",
        [Fate::LOST, Fate::CONFLICT],
    );
    let body = json!({"name": "sales"});
    user.post("/api/instances", body).await.data(201);
    assert!(faults.is_done());
}

/// Longer than the SDK tries.
#[tokio::test]
async fn a_rotation_whose_answer_is_lost_again_and_again_tells_its_secret() {
    let world = World::faulty(SEED).await;
    let (user, _, _) = world.ready().await;
    let path = "/api/instances/sales/keys";
    let made = user.post(path, json!({"name": "a key"})).await.data(201);
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("TransactWriteItems", "formerHash", [Fate::LOST; 4]);
    let rotate = format!("{path}/{}/rotate", text(&made["id"]));
    let body = json!({"graceSeconds": 3_600});
    let rotated = user.post(&rotate, body).await.data(200);
    assert!(faults.is_done());
    for key in [&made["key"], &rotated["key"]] {
        assert_eq!(
            world.caller(&text(key)).get("/api/instance/info").await.status,
            200
        );
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_code_that_is_used_up_gives_what_the_code_is_for() {
    let world = World::faulty(SEED).await;
    let user = world.register("ada@example.com").await;
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("UpdateItem", "code#", [Fate::LOST]);
    let body = json!({"token": world.mail.code("ada@example.com")});
    user.post("/api/auth/verify-email", body.clone()).await.data(200);
    assert!(faults.is_done());
    let again = user.post("/api/auth/verify-email", body).await;
    assert_eq!(again.status, 400);
}

#[tokio::test]
async fn a_lost_answer_to_a_changed_password_is_no_other_change() {
    let world = World::faulty(SEED).await;
    let user = world.register("ada@example.com").await;
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("UpdateItem", ":password", [Fate::LOST]);
    let body = json!({"currentPassword": PASSWORD, "newPassword": "another horse, another battery"});
    let path = "/api/auth/change-password";
    user.post(path, body).await.data(200);
    assert!(faults.is_done());
}

#[tokio::test]
async fn a_lost_answer_to_an_audit_entry_is_no_fault() {
    let world = World::faulty(SEED).await;
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("PutItem", "auth.registered", [Fate::LOST]);
    world.register("ada@example.com").await;
    assert!(faults.is_done());
    let entries = people::audited(&world, Action::Registered).await;
    let [entry] = &entries[..] else {
        panic!("one entry, not {entries:?}")
    };
    // What the SDK's second attempt says.
    world.state.audit.append(entry).await.expect("it is there");
    assert_eq!(people::audited(&world, Action::Registered).await, entries);
}

/// The fates of a count whose answer is lost, and of one that is refused for the load and repeated.
const FATES: [Fate; 3] = [Fate::LOST, Fate::THROTTLED, Fate::CONFLICT];

#[tokio::test]
async fn a_lost_answer_to_a_count_against_the_quota_counts_one() {
    let world = World::faulty(SEED).await;
    let (user, instance, _) = world.ready().await;
    let subscription = user.subscription.parse().expect("an id");
    let (counters, now) = (&world.state.counters, world.clock.now());
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("UpdateItem", "month#", FATES);
    let count = || counters.count_against_quota(subscription, instance, 100, now);
    count().await.expect_err("nobody knows");
    assert_eq!(
        counters
            .get_used_of_quota(subscription, now)
            .await
            .expect("read")
            .0,
        1
    );
    // The next is refused twice before it is executed.
    assert_eq!(count().await.expect("counted"), Quota::Counted { of_instance: 2 });
    assert!(faults.is_done());
}

#[tokio::test]
async fn a_lost_answer_to_a_days_count_counts_one() {
    let world = World::faulty(SEED).await;
    let (_, instance, _) = world.ready().await;
    let (counters, now) = (&world.state.counters, world.clock.now());
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("UpdateItem", "day#", FATES);
    let counted = counters.count(instance, &[Counter::Ended], now).await;
    counted.expect_err("nobody knows");
    let counted = counters.count(instance, &[Counter::Ended], now).await;
    counted.expect("counted");
    assert!(faults.is_done());
    assert_eq!(counters.this_month(instance, now).await.expect("read").ended, 2);
}

#[tokio::test]
async fn a_lost_answer_to_what_is_believed_lost_counts_it_once() {
    let world = World::faulty(SEED).await;
    let (_, instance, _) = world.ready().await;
    let counters = &world.state.counters;
    counters
        .doubt(instance, Basis::Queue, 2, world.clock.now())
        .await
        .expect("begun");
    world.clock.advance(TimeDelta::minutes(1));
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("UpdateItem", "ADD ended", [Fate::LOST]);
    let doubt = counters.doubt(instance, Basis::Queue, 2, world.clock.now()).await;
    doubt.expect_err("nobody knows");
    assert!(faults.is_done());
    let month = counters.this_month(instance, world.clock.now()).await;
    assert_eq!(month.expect("read").ended, 2);
}

#[tokio::test]
async fn a_lost_answer_to_a_request_of_a_rate_limit_counts_one() {
    let world = World::faulty(SEED).await;
    let faults = world.faults.as_ref().expect("faults");
    let scope = Scope::PairingCodes("user_01JD0000000000000000000000".parse().expect("an id"));
    let rates = Rates::new(world.state.table.clone());
    let count = || rates.count(scope, Limit::per_hour(10), world.clock.now());
    faults.plan("UpdateItem", "pairing-codes#", FATES);
    count().await.expect_err("nobody knows");
    assert_eq!(count().await.expect("counted").remaining, 8);
    assert!(faults.is_done());
}

#[tokio::test]
async fn a_lost_answer_to_a_failed_login_counts_one() {
    let world = World::faulty(SEED).await;
    let faults = world.faults.as_ref().expect("faults");
    let scope = lockouts::Scope::Session("one");
    let attempt = || world.states.auth.lockouts.attempt(&scope, world.clock.now());
    faults.plan("UpdateItem", "session#one", FATES);
    attempt().await.expect_err("nobody knows");
    for _ in 1..scope.limit() - 1 {
        assert_eq!(attempt().await.expect("counted"), Attempt::Allowed);
    }
    assert!(faults.is_done());
    assert!(matches!(attempt().await.expect("counted"), Attempt::Last { .. }));
}

#[tokio::test]
async fn a_lost_answer_to_a_wish_asks_once() {
    let world = World::faulty(SEED).await;
    let (_, instance, _) = world.ready().await;
    let faults = world.faults.as_ref().expect("faults");
    let instances = &world.state.instances;
    let before = instances.want(instance, Wanted::Connected).await;
    let before = before.expect("stored").expect("there").generation;
    faults.plan("UpdateItem", "generation", [Fate::LOST]);
    let wish = instances.want_restart(instance).await;
    let wish = wish.expect("its own").expect("there");
    assert!(faults.is_done());
    assert_eq!((wish.generation, wish.restart), (before + 1, before + 1));
    faults.plan("UpdateItem", "generation", [Fate::LOST]);
    let wish = instances.want_logout(instance, world.clock.now()).await;
    assert_eq!(wish.expect("its own").expect("there").generation, before + 2);
}

/// As often as the SDK tries.
const AWAY: [Fate; 3] = [Fate::FAILED; 3];

#[tokio::test]
async fn a_request_does_not_fail_on_what_only_notes_when_its_key_was_used() {
    let world = World::faulty(SEED).await;
    let (_, _, key) = world.ready().await;
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("UpdateItem", "lastUsedAt", AWAY);
    key.get("/api/instance/info").await.data(200);
    assert!(faults.is_done());
}

#[tokio::test]
async fn a_restart_that_is_answered_with_an_error_is_not_done() {
    let world = World::faulty(SEED).await;
    let (user, instance, _) = world.ready().await;
    let before = world.stored(instance).await.desired;
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("GetItem", "leases#", AWAY);
    let path = "/api/instances/sales/restart";
    let answer = user.post(path, ()).await;
    assert!(faults.is_done());
    assert_eq!(answer.status, 503);
    assert_eq!(world.stored(instance).await.desired, before);
    user.post(path, ()).await.data(202);
}

#[tokio::test]
async fn a_password_that_is_set_is_told_of_though_old_guesses_stay_counted() {
    let world = World::faulty(SEED).await;
    world.register("ada@example.com").await;
    world.nobody.forget_password("ada@example.com").await;
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("UpdateItem", "loggedInAt", AWAY);
    let body =
        json!({"token": world.mail.code("ada@example.com"), "password": "another horse, another battery"});
    world
        .nobody
        .post("/api/auth/reset-password", body)
        .await
        .data(200);
    assert!(faults.is_done());
}
