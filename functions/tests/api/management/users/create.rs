//! `POST /api/users`.

use futures::future::join_all;
use serde_json::{Value, json};
use shared::domain::audit::{Action, Actor};

use crate::management::people::{self, accept, administrator, audited, login, text};
use crate::support::{PASSWORD, User, World};

fn body(of: &User, email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "name": "Bob", "role": "USER", "subscriptionId": of.subscription})
}

#[tokio::test]
async fn a_user_with_a_password_can_log_in() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let mails = world.mail.len();
    let made = root.post("/api/users", body(&ada, "bob@example.com")).await;
    let data = made.data(201);
    let id = text(&data["id"]);
    assert_eq!(
        data,
        json!({
            "id": id,
            "email": "bob@example.com",
            "name": "Bob",
            "role": "USER",
            "active": true,
            "emailVerified": false,
            "subscriptionId": ada.subscription,
            "createdAt": "2026-01-01T00:00:00.000Z",
        })
    );
    assert_eq!(world.mail.len(), mails);
    assert!(!String::from_utf8_lossy(&made.bytes).contains("$2b$"));
    assert_eq!(
        login(&world, "bob@example.com").await.subscription,
        ada.subscription
    );
    let path = format!("/api/users/{id}");
    assert_eq!(root.get(&path).await.data(200), data);

    let entries = audited(&world, Action::UserCreated).await;
    assert_eq!(entries.len(), 1);
    let by = people::id(&root).await.parse().expect("an id");
    assert_eq!(entries[0].actor, Actor::User(by));
    assert_eq!(entries[0].target, Some(id));
    assert_eq!(
        entries[0].subscription,
        Some(ada.subscription.parse().expect("an id"))
    );
    assert!(!format!("{:?}", entries[0]).contains("bob@"));
}

#[tokio::test]
async fn a_user_without_a_password_is_invited() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let mut request = body(&root, "bob@example.com");
    request.as_object_mut().expect("an object").remove("password");
    root.post("/api/users", request.clone()).await.data(201);
    let offered = json!({"email": "bob@example.com", "password": PASSWORD});
    let answer = world.nobody.post("/api/auth/login", offered).await;
    assert_eq!(answer.status, 401);
    let listed = root.get("/api/users").await.data(200);
    assert_eq!(
        people::each(&listed, "email"),
        ["root@example.com"],
        "nobody is there yet"
    );
    accept(&world, "bob@example.com").await;
    login(&world, "bob@example.com").await;

    // Where no mail goes out, nobody is left behind.
    world.mail.fail(true);
    request["email"] = json!("eve@example.com");
    let answer = root.post("/api/users", request.clone()).await;
    assert_eq!(answer.status, 503);
    world.mail.fail(false);
    root.post("/api/users", request).await.data(201);
}

#[tokio::test]
async fn one_of_twenty_who_race_for_an_address_gets_it() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let answers = join_all((0..20).map(|n| {
        let email = if n % 2 == 0 {
            "bob@example.com"
        } else {
            "BOB@example.com"
        };
        root.post("/api/users", body(&root, email))
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
    let members = root.get("/api/subscription/members").await.data(200);
    assert_eq!(members.as_array().map(Vec::len), Some(2));
    assert_eq!(audited(&world, Action::UserCreated).await.len(), 1);
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let request =
        json!({"email": "bob", "password": "short", "name": "", "role": "BOSS", "subscriptionId": "sub_1"});
    let answer = root.post("/api/users", request).await;
    assert_eq!(answer.error(), "400 VALIDATION_ERROR: Some fields are not valid");
    assert_eq!(
        answer.bad_fields(),
        ["email", "password", "name", "role", "subscriptionId"]
    );
    let mut request = body(&root, "bob@example.com");
    request["subscriptionId"] = json!("sub_01JD0000000000000000000000");
    let answer = root.post("/api/users", request).await;
    assert_eq!(
        answer.error(),
        "400 VALIDATION_ERROR: `subscriptionId` names no subscription"
    );
    let mut request = body(&root, "bob@example.com");
    request["rolle"] = json!("USER");
    let answer = root.post("/api/users", request).await;
    assert_eq!(answer.error(), "400 VALIDATION_ERROR: `rolle` is unknown");
}

#[tokio::test]
async fn an_invitation_is_taken_back_by_an_administrator_of_whichever_subscription() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let ada = world.register("ada@example.com").await;
    let mut request = body(&ada, "bob@example.com");
    request["role"] = json!("ADMINISTRATOR");
    request.as_object_mut().expect("an object").remove("password");
    let data = root.post("/api/users", request.clone()).await.data(201);
    let path = format!("/api/users/{}", text(&data["id"]));
    assert_eq!(root.get(&path).await.status, 404);
    root.delete(&path).await.data(200);
    let code = json!({"token": world.mail.code("bob@example.com"), "password": PASSWORD});
    assert_eq!(
        world.nobody.post("/api/auth/reset-password", code).await.status,
        400
    );
    assert_eq!(root.delete(&path).await.status, 404);
    // Accepted, it is what the administrator has made it.
    root.post("/api/users", request).await.data(201);
    accept(&world, "bob@example.com").await;
    let bob = login(&world, "bob@example.com").await;
    assert_eq!(bob.get("/api/users").await.status, 200);
}
