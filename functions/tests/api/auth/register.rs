//! `POST /api/auth/register`.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::json;
use shared::clock::Clock;
use shared::config::{Functions, Registration};
use shared::storage::accounts::{Marked, Removed};
use shared::storage::keys;

use crate::support::{Caller, PASSWORD, World};

#[tokio::test]
async fn a_new_user_has_a_basic_subscription_and_tokens() {
    let world = World::new().await;
    let body = json!({"email": "Ada@Example.com", "password": PASSWORD, "name": " Ada "});
    let answer = world.nobody.post("/api/auth/register", body).await;
    let data = answer.data(201);
    assert_eq!(data["user"]["email"], json!("Ada@Example.com"));
    assert_eq!(data["user"]["name"], json!("Ada"));
    assert_eq!(data["user"]["role"], json!("USER"));
    assert_eq!(data["subscription"]["tier"], json!("BASIC"));
    assert_eq!(
        data["subscription"]["limits"],
        json!({"instances": 5, "messagesPerMonth": 10_000})
    );
    assert_eq!(data["user"]["subscriptionId"], data["subscription"]["id"]);
    assert_eq!(data["tokens"]["expiresIn"], json!(900));
    let token = data["tokens"]["accessToken"].as_str().expect("a token");
    assert_eq!(world.caller(token).get("/api/auth/me").await.status, 200);
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("$2b$"));
}

fn sha256(text: &str) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(text))
}

#[tokio::test]
async fn a_refresh_token_is_stored_by_its_hash() {
    let world = World::new().await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    let data = world.nobody.post("/api/auth/register", body).await.data(201);
    let token = data["tokens"]["refreshToken"].as_str().expect("a token");
    let table = &world.state.table;
    let items = table
        .client()
        .scan()
        .table_name(table.name())
        .send()
        .await
        .expect("read");
    let all = format!("{:?}", items.items());
    let stored = items
        .items()
        .iter()
        .find(|item| item.get("hash") == Some(&AttributeValue::S(sha256(token))))
        .expect("there");
    let in_thirty_days = world.clock.now() + TimeDelta::days(30);
    let seconds = AttributeValue::N(in_thirty_days.timestamp().to_string());
    assert_eq!(stored["exp"], seconds);
    assert!(!all.contains(token));
    assert!(!all.contains(PASSWORD));
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let world = World::new().await;
    let body = json!({"email": "ada", "password": "short", "name": ""});
    let answer = world.nobody.post("/api/auth/register", body).await;
    assert_eq!(answer.error(), "400 VALIDATION_ERROR: Some fields are not valid");
    assert_eq!(
        answer.json()["error"]["details"],
        json!({"fields": [
            {"field": "email", "message": "must be an e-mail address, such as name@example.com"},
            {"field": "password", "message": "must have 8 characters at least and 72 bytes of UTF-8 at most"},
            {"field": "name", "message": "must have 1 to 100 characters, and no control characters"},
        ]})
    );
}

#[tokio::test]
async fn one_of_twenty_who_race_for_an_address_gets_it() {
    let world = World::new().await;
    let answers = join_all((0..20).map(|n| {
        // In all the ways to write it.
        let email = if n % 2 == 0 {
            "Ada@example.com"
        } else {
            "ada@EXAMPLE.com"
        };
        let body = json!({"email": email, "password": PASSWORD, "name": format!("Ada {n}")});
        world.nobody.post("/api/auth/register", body)
    }))
    .await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1);
    for answer in refused {
        assert_eq!(
            answer.error(),
            "409 EMAIL_TAKEN: Another user has this e-mail address"
        );
    }
    // The losers left nothing behind: one subscription, one user, one address; the winner's session and
    // entry in the audit log, the code of its mail, and the count of the requests.
    let table = &world.state.table;
    let items = table
        .client()
        .scan()
        .table_name(table.name())
        .send()
        .await
        .expect("read");
    let mut entities: Vec<String> = items
        .items()
        .iter()
        .map(|item| {
            let pk = item["pk"].as_s().expect("a key");
            pk.split('#').next().unwrap_or_default().to_owned()
        })
        .collect();
    entities.sort_unstable();
    assert_eq!(
        entities,
        ["audit", "code", "email", "lock", "rate", "session", "sub", "sub"]
    );
    let address = "ADA@example.com".parse().expect("an address");
    assert_eq!(keys::email(&address).pk, "email#ada@example.com");
}

/// Registers at a process of the deployment: status, code and message of a refusal.
async fn refused(caller: &Caller, email: &str) -> String {
    let body = json!({"email": email, "password": PASSWORD, "name": "Eve"});
    caller.post("/api/auth/register", body).await.error()
}

fn registering(registration: Registration) -> impl FnOnce(Functions) -> Functions {
    move |mut config| {
        config.auth.registration = registration;
        config
    }
}

const REFUSAL: &str = "403 FORBIDDEN: Nobody may register here: log in if you have an account, also where the answer to your \
                       registration was lost; else ask who runs this deployment for one, or the owner of a subscription for an \
                       invitation";

#[tokio::test]
async fn where_registration_is_closed_users_stay_and_members_come() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let closed = world.another(registering(Registration::Closed));
    assert_eq!(refused(&closed, "eve@example.com").await, REFUSAL);
    // Whether an address is known is told to nobody, and nothing is said of what was sent.
    assert_eq!(refused(&closed, "ada@example.com").await, REFUSAL);
    assert_eq!(refused(&closed, "eve").await, REFUSAL);
    let invited = "bob@example.com";
    world.verify(&ada).await;
    let body = json!({"email": invited, "name": "Bob"});
    ada.post("/api/subscription/members", body).await.data(201);
    let body = json!({"token": world.mail.code(invited), "password": PASSWORD});
    closed.post("/api/auth/reset-password", body).await.data(200);
    assert_eq!(closed.login(invited).await.subscription, ada.subscription);
}

#[tokio::test]
async fn one_of_twenty_who_race_to_be_the_first_is_it() {
    let world = World::with(registering(Registration::First)).await;
    let answers = join_all((0..20).map(|n| {
        let email = format!("user{n}@example.com");
        let body = json!({"email": email, "password": PASSWORD, "name": format!("User {n}")});
        world.nobody.post("/api/auth/register", body)
    }))
    .await;
    let (made, others): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1);
    for answer in others {
        assert_eq!(answer.error(), REFUSAL);
    }
    let users = world.state.accounts.list_users(None, 10).await.expect("read");
    assert_eq!(users.len(), 1, "the others left nothing behind");
    assert_eq!(refused(&world.nobody, "late@example.com").await, REFUSAL);
}

#[tokio::test]
async fn a_first_user_whose_answer_was_lost_is_told_to_log_in_and_can() {
    let world = World::with(registering(Registration::First)).await;
    let lost = world.register("ada@example.com").await;
    assert_eq!(refused(&world.nobody, "ada@example.com").await, REFUSAL);
    let ada = world.nobody.login("ada@example.com").await;
    assert_eq!(ada.subscription, lost.subscription);
}

/// The first one holds the place for good, and one who came while anybody might is as good as the first.
#[tokio::test]
async fn nobody_is_first_after_another() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    let first = world.another(registering(Registration::First));
    assert_eq!(refused(&first, "eve@example.com").await, REFUSAL);

    let world = World::with(registering(Registration::First)).await;
    let ada = world.register("ada@example.com").await;
    let me = ada.get("/api/auth/me").await.data(200)["user"].clone();
    let id = me["id"].as_str().expect("an id").parse().expect("an id");
    let subscription = ada.subscription.parse().expect("an id");
    let accounts = &world.state.accounts;
    let user = accounts.get_user(subscription, id).await.expect("read");
    let marked = accounts.begin_deletion(&user.expect("there")).await;
    assert_eq!(marked.expect("marked"), Marked::Done);
    let removed = accounts.delete_user(subscription, id).await.expect("removed");
    assert!(matches!(removed, Removed::Done { .. }), "{removed:?}");
    assert_eq!(refused(&world.nobody, "eve@example.com").await, REFUSAL);
}
