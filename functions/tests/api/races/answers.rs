//! Writes that were executed and whose answer was lost: the SDK sends them again, and their second run must know the
//! first for its own.

use relay::Fate;
use serde_json::json;
use shared::domain::audit::Action;

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
    let data = world.post("", "/api/auth/refresh", body).await.data(200);
    assert!(faults.is_done());
    let access = text(&data["tokens"]["accessToken"]);
    assert_eq!(world.get(&access, "/api/auth/me").await.status, 200);
    let body = json!({"refreshToken": data["tokens"]["refreshToken"]});
    world.post("", "/api/auth/refresh", body).await.data(200);
}

#[tokio::test]
async fn a_lost_answer_to_a_new_session_fails_no_login() {
    let world = World::faulty(SEED).await;
    world.register("ada@example.com").await;
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("PutItem", "session#", [Fate::LOST]);
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let data = world.post("", "/api/auth/login", body).await.data(200);
    assert!(faults.is_done());
    let access = text(&data["tokens"]["accessToken"]);
    assert_eq!(world.get(&access, "/api/auth/me").await.status, 200);
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
    world.post(&user.token, "/api/instances", body).await.data(201);
    assert!(faults.is_done());
}

#[tokio::test]
async fn a_lost_answer_to_a_code_that_is_used_up_gives_what_the_code_is_for() {
    let world = World::faulty(SEED).await;
    let user = world.register("ada@example.com").await;
    let faults = world.faults.as_ref().expect("faults");
    faults.plan("UpdateItem", "code#", [Fate::LOST]);
    let body = json!({"token": world.mail.code("ada@example.com")});
    world
        .post(&user.token, "/api/auth/verify-email", body.clone())
        .await
        .data(200);
    assert!(faults.is_done());
    let again = world.post(&user.token, "/api/auth/verify-email", body).await;
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
    world.post(&user.token, path, body).await.data(200);
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
