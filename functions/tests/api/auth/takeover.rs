//! What becomes of an account that somebody registered with another's address, once the owner of the address comes.

use serde_json::{Value, json};
use shared::domain::audit::Action;
use shared::ids::InstanceId;
use testbed::relay::Fate;

use crate::management::people::{accept, administrator, audited, id, login, text};
use crate::support::{Answer, Caller, PASSWORD, World};

const NEW: &str = "another horse, another battery";
const EMAIL: &str = "ada@example.com";

async fn reset(world: &World) -> Answer {
    world.nobody.forget_password(EMAIL).await;
    let body = json!({"token": world.mail.code(EMAIL), "password": NEW});
    world.nobody.post("/api/auth/reset-password", body).await
}

fn hook() -> Value {
    json!({"url": "https://example.com/waxwing", "events": ["*"]})
}

async fn has_webhook(owner: &Caller, instance: InstanceId) -> bool {
    let path = format!("/api/instances/{instance}/webhook");
    owner.get(&path).await.status == 200
}

async fn works(key: &Caller) -> bool {
    key.get("/api/instance/info").await.status == 200
}

#[tokio::test]
async fn a_reset_that_verifies_an_address_ends_what_was_made_before_and_says_so() {
    let world = World::new().await;
    let stranger = world.register(EMAIL).await;
    let mut keys = Vec::new();
    for name in ["sales", "support"] {
        let instance = world.instance(&stranger, name).await;
        for _ in 0..2 {
            keys.push(world.key(&stranger, instance, json!({})).await);
        }
        let webhook = format!("/api/instances/{instance}/webhook");
        stranger.put(&webhook, hook()).await.data(200);
    }
    let eve = world.register("eve@example.com").await;
    let instance = world.instance(&eve, "sales").await;
    let eves = world.key(&eve, instance, json!({})).await;
    let data = reset(&world).await.data(200);
    assert_eq!(
        data["revoked"],
        json!({"sessions": true, "apiKeys": 4, "webhooks": 2})
    );
    assert_eq!(data["user"]["emailVerified"], json!(true));
    for key in &keys {
        let answer = key.get("/api/instance/info").await;
        assert_eq!(
            answer.error(),
            "401 UNAUTHENTICATED: The API key has been revoked"
        );
    }
    assert_eq!(stranger.get("/api/auth/me").await.status, 401);
    let body = json!({"refreshToken": stranger.refresh_token});
    assert_eq!(world.nobody.post("/api/auth/refresh", body).await.status, 401);
    let body = json!({"email": EMAIL, "password": PASSWORD});
    assert_eq!(world.nobody.post("/api/auth/login", body).await.status, 401);
    assert!(
        works(&eves).await,
        "another subscription's key has nothing to do with it"
    );
    let entries = audited(&world, Action::PasswordReset).await;
    assert_eq!(entries[0].details["revokedKeys"], "4");
    assert_eq!(entries[0].details["deletedWebhooks"], "2");

    // From here on the account is its owner's: another reset takes nothing away.
    let body = json!({"email": EMAIL, "password": NEW});
    let owner = world.nobody.post("/api/auth/login", body).await.data(200);
    let owner = world.caller(&text(&owner["tokens"]["accessToken"]));
    let instance = world.instance(&owner, "mine").await;
    let key = world.key(&owner, instance, json!({})).await;
    let data = reset(&world).await.data(200);
    assert_eq!(data["revoked"], Value::Null);
    assert!(works(&key).await);
}

#[tokio::test]
async fn a_reset_of_a_verified_address_takes_no_key() {
    let world = World::new().await;
    let user = world.register(EMAIL).await;
    let body = json!({"token": world.mail.code(EMAIL)});
    user.post("/api/auth/verify-email", body).await.data(200);
    let instance = world.instance(&user, "sales").await;
    let key = world.key(&user, instance, json!({})).await;
    assert_eq!(reset(&world).await.data(200)["revoked"], Value::Null);
    assert!(works(&key).await);
}

#[tokio::test]
async fn a_member_takes_along_the_keys_that_it_was_shown_and_no_others() {
    let world = World::new().await;
    let root = administrator(&world, "root@example.com").await;
    let boss = world.register("boss@example.com").await;
    let instance = world.instance(&boss, "sales").await;
    let bosses = world.key(&boss, instance, json!({})).await;
    let body = json!({
        "email": EMAIL, "password": PASSWORD, "name": "Ada", "role": "USER", "subscriptionId": boss.subscription,
    });
    root.post("/api/users", body).await.data(201);
    let member = login(&world, EMAIL).await;
    let made = world.key(&member, instance, json!({})).await;
    // Set by the member, with a key that the member was shown, and by nobody of these.
    let mut hooked = Vec::new();
    for name in ["one", "two", "three"] {
        let instance = world.instance(&boss, name).await;
        let setter = if name == "one" { &member } else { &boss };
        let webhook = format!("/api/instances/{instance}/webhook");
        setter.put(&webhook, hook()).await.data(200);
        hooked.push(instance);
    }
    let all = json!({"scopes": ["webhook:write"]});
    let spy = world.key(&member, hooked[1], all).await;
    spy.put("/api/webhook", hook()).await.data(200);
    let keys = format!("/api/instances/{instance}/keys");
    let rotated = boss.post(&keys, json!({"name": "rotated"})).await.data(201);
    let path = format!("{keys}/{}/rotate", text(&rotated["id"]));
    let rotated = text(&member.post(&path, json!({})).await.data(200)["key"]);
    let data = reset(&world).await.data(200);
    assert_eq!(
        data["revoked"],
        json!({"sessions": true, "apiKeys": 3, "webhooks": 2})
    );
    for (instance, stays) in hooked.into_iter().zip([false, false, true]) {
        assert_eq!(has_webhook(&boss, instance).await, stays);
    }
    assert!(!works(&made).await);
    assert!(!works(&world.caller(&rotated)).await);
    assert!(works(&bosses).await);
}

#[tokio::test]
async fn a_reset_that_is_broken_off_leaves_nobody_inside_and_can_be_done_again() {
    let world = World::faulty(7).await;
    let stranger = world.register(EMAIL).await;
    let instance = world.instance(&stranger, "sales").await;
    let key = world.key(&stranger, instance, json!({})).await;
    world.nobody.forget_password(EMAIL).await;
    let body = json!({"token": world.mail.code(EMAIL), "password": NEW});
    let faults = world.faults.as_ref().expect("faults");
    // The keys are not revoked, as often as the SDK tries.
    faults.plan("TransactWriteItems", "revokedAt", [Fate::THROTTLED; 3]);
    let answer = world.nobody.post("/api/auth/reset-password", body.clone()).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(faults.is_done());
    for password in [PASSWORD, NEW] {
        let body = json!({"email": EMAIL, "password": password});
        assert_eq!(world.nobody.post("/api/auth/login", body).await.status, 401);
    }
    assert_eq!(stranger.get("/api/auth/me").await.status, 401);
    let data = world
        .nobody
        .post("/api/auth/reset-password", body.clone())
        .await
        .data(200);
    assert_eq!(
        data["revoked"],
        json!({"sessions": true, "apiKeys": 1, "webhooks": 0})
    );
    assert!(!works(&key).await);
    assert_eq!(
        world.nobody.post("/api/auth/reset-password", body).await.status,
        400
    );
}

#[tokio::test]
async fn no_key_is_made_by_a_session_that_has_just_ended() {
    let world = World::new().await;
    let stranger = world.register(EMAIL).await;
    let instance = world.instance(&stranger, "sales").await;
    world.nobody.forget_password(EMAIL).await;
    let body = json!({"token": world.mail.code(EMAIL), "password": NEW});
    let path = format!("/api/instances/{instance}/keys");
    let making = (0..30).map(|_| stranger.post(&path, json!({"name": "a key"})));
    let (made, reset) = tokio::join!(
        futures::future::join_all(making),
        world.nobody.post("/api/auth/reset-password", body)
    );
    reset.data(200);
    for answer in made {
        if answer.status == 201 {
            let key = text(&answer.data(201)["key"]);
            assert!(!works(&world.caller(&key)).await);
        } else {
            assert_eq!(answer.status, 401, "{answer:?}");
        }
    }
}

#[tokio::test]
async fn a_code_of_a_mail_is_no_use_without_the_password_behind_it() {
    let world = World::new().await;
    let stranger = world.register(EMAIL).await;
    // The owner of the address follows the mail without having registered.
    let body = json!({"token": world.mail.code(EMAIL)});
    assert_eq!(
        world.nobody.post("/api/auth/verify-email", body).await.status,
        401
    );
    let me = stranger.get("/api/auth/me").await.data(200);
    assert_eq!(me["user"]["emailVerified"], json!(false));
}

#[tokio::test]
async fn an_unverified_account_does_not_invite() {
    let world = World::new().await;
    let stranger = world.register(EMAIL).await;
    let path = "/api/subscription/members";
    let body = json!({"email": "accomplice@example.com", "name": "Bob"});
    let answer = stranger.post(path, body.clone()).await;
    assert_eq!(answer.json()["error"]["code"], json!("FORBIDDEN"));
    assert!(answer.error().contains("not verified"), "{}", answer.error());
    world.verify(&stranger).await;
    stranger.post(path, body).await.data(201);
    accept(&world, "accomplice@example.com").await;
    assert_ne!(id(&login(&world, "accomplice@example.com").await).await, "");
}

/// Whoever registered the address is logged in, and asks for as many mails as it may, hour for hour.
#[tokio::test]
async fn a_stranger_who_holds_an_address_does_not_keep_its_owner_from_a_reset() {
    let world = World::new().await;
    let stranger = world.register(EMAIL).await;
    let again = async || stranger.post("/api/auth/resend-verification", ()).await.status;
    while again().await == 202 {}
    let data = reset(&world).await.data(200);
    assert_eq!(data["revoked"]["sessions"], json!(true));
}
