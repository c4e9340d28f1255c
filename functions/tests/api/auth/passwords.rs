//! Changing, forgetting and resetting passwords, and verifying addresses.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, World};

const NEW: &str = "another horse, another battery";
const NO_CODE: &str =
    "400 VALIDATION_ERROR: `token` is not valid, was used before, or is too old: ask for a new one";
const OVER: &str = "401 UNAUTHENTICATED: The access token's session is over: log in again";

async fn login(world: &World, password: &str) -> Answer {
    let body = json!({"email": "ada@example.com", "password": password});
    world.nobody.post("/api/auth/login", body).await
}

async fn forgot(world: &World, email: &str) -> Value {
    let answer = world
        .nobody
        .post("/api/auth/forgot-password", json!({"email": email}))
        .await;
    answer.data(202)
}

async fn reset(world: &World, code: &str, password: &str) -> Answer {
    let body = json!({"token": code, "password": password});
    world.nobody.post("/api/auth/reset-password", body).await
}

#[tokio::test]
async fn a_changed_password_ends_every_session_but_the_one_it_begins() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let body = json!({"currentPassword": PASSWORD, "newPassword": NEW});
    let data = user.post("/api/auth/change-password", body).await.data(200);
    let fresh = data["tokens"]["accessToken"].as_str().expect("a token");
    assert_eq!(world.caller(fresh).get("/api/auth/me").await.status, 200);
    assert_eq!(user.get("/api/auth/me").await.error(), OVER);
    let body = json!({"refreshToken": user.refresh_token});
    assert_eq!(world.nobody.post("/api/auth/refresh", body).await.status, 401);
    assert_eq!(login(&world, PASSWORD).await.status, 401);
    assert_eq!(login(&world, NEW).await.status, 200);
    assert_eq!(
        world.mail.newest("ada@example.com").subject,
        "Your password was changed"
    );
}

#[tokio::test]
async fn a_stolen_access_token_cannot_guess_the_password_without_end() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let body = json!({"currentPassword": "a wrong password", "newPassword": NEW});
    for _ in 0..10 {
        let answer = user.post("/api/auth/change-password", body.clone()).await;
        assert_eq!(
            answer.error(),
            "401 INVALID_CREDENTIALS: The present password is another one"
        );
    }
    let answer = user.post("/api/auth/change-password", body).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.json()["error"]["code"], json!("ACCOUNT_LOCKED"));
}

#[tokio::test]
async fn a_forgotten_password_is_reset_once_by_the_code_of_the_mail() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    // Locked out by somebody else's guesses meanwhile.
    for _ in 0..11 {
        login(&world, "a wrong password").await;
    }
    let known = forgot(&world, "ADA@example.com").await;
    let sent = world.mail.len();
    let unknown = forgot(&world, "nobody@example.com").await;
    assert_eq!(known, unknown);
    assert_eq!(world.mail.len(), sent);

    let code = world.mail.code("ada@example.com");
    assert_eq!(
        reset(&world, &code, "short").await.error(),
        "400 VALIDATION_ERROR: `password` must have 8 characters at least and 72 bytes of UTF-8 at most"
    );
    let data = reset(&world, &code, NEW).await.data(200);
    assert_eq!(data["user"]["emailVerified"], json!(true));
    assert_eq!(reset(&world, &code, NEW).await.error(), NO_CODE);
    assert_eq!(user.get("/api/auth/me").await.error(), OVER);
    assert_eq!(login(&world, NEW).await.status, 200);
}

#[tokio::test]
async fn a_code_is_good_for_its_purpose_and_its_time_alone() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let verification = world.mail.code("ada@example.com");
    assert_eq!(reset(&world, &verification, NEW).await.error(), NO_CODE);
    forgot(&world, "ada@example.com").await;
    let code = world.mail.code("ada@example.com");
    let body = json!({"token": code});
    let answer = user.post("/api/auth/verify-email", body).await;
    assert_eq!(answer.error(), NO_CODE);
    world.clock.advance(TimeDelta::hours(1));
    assert_eq!(reset(&world, &code, NEW).await.error(), NO_CODE);
    for code in ["", "x", &"x".repeat(43)] {
        assert_eq!(reset(&world, code, NEW).await.error(), NO_CODE);
    }
}

#[tokio::test]
async fn an_older_code_is_of_no_use_once_the_password_has_changed() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    forgot(&world, "ada@example.com").await;
    let older = world.mail.code("ada@example.com");
    forgot(&world, "ada@example.com").await;
    let newer = world.mail.code("ada@example.com");
    assert_eq!(reset(&world, &newer, NEW).await.status, 200);
    assert_eq!(reset(&world, &older, PASSWORD).await.error(), NO_CODE);
}

#[tokio::test]
async fn an_address_is_verified_by_the_code_of_the_registration() {
    let world = World::with(|mut config| {
        config.auth.admin_email = Some("Ada@Example.com".parse().expect("an address"));
        config
    })
    .await;
    let user = world.register("ada@example.com").await;
    let role = async || {
        let me = user.get("/api/auth/me").await.data(200);
        (me["user"]["role"].clone(), me["user"]["emailVerified"].clone())
    };
    // Not before the address is shown to be the user's own.
    assert_eq!(role().await, (json!("USER"), json!(false)));
    let code = world.mail.code("ada@example.com");
    let other = world.register("eve@example.com").await;
    for (stranger, status) in [("", 401), (&*other.token, 400)] {
        let body = json!({"token": code});
        let answer = world.caller(stranger).post("/api/auth/verify-email", body).await;
        assert_eq!(
            answer.status, status,
            "who registered the address may be somebody else"
        );
    }
    assert_eq!(role().await, (json!("USER"), json!(false)));
    let data = user
        .post("/api/auth/verify-email", json!({"token": code}))
        .await
        .data(200);
    assert_eq!(data["user"]["role"], json!("ADMINISTRATOR"));
    assert_eq!(role().await, (json!("ADMINISTRATOR"), json!(true)));
    let again = user.post("/api/auth/resend-verification", ()).await;
    assert_eq!(
        again.error(),
        "409 CONFLICT: The e-mail address is verified already"
    );
}

#[tokio::test]
async fn mails_are_few_and_a_mail_server_that_is_away_is_told() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let resend = async || user.post("/api/auth/resend-verification", ()).await;
    world.mail.fail(true);
    assert_eq!(resend().await.status, 503);
    world.mail.fail(false);
    for _ in 0..4 {
        assert_eq!(resend().await.status, 202);
    }
    let refused = resend().await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["code"], json!("RATE_LIMITED"));
    // Mails for a new password have a count of their own, and nobody is told of its end.
    let sent = world.mail.len();
    for mails in [1, 2, 3, 4, 5, 5] {
        forgot(&world, "ada@example.com").await;
        assert_eq!(world.mail.len(), sent + mails);
    }
}

#[tokio::test]
async fn a_registration_stands_though_its_mail_does_not_go_out() {
    let world = World::new().await;
    world.mail.fail(true);
    let user = world.register("ada@example.com").await;
    assert_eq!(user.get("/api/auth/me").await.status, 200);
}

#[tokio::test]
async fn a_name_is_changed() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let patch = async |body: Value| user.patch("/api/auth/me", body).await;
    assert_eq!(
        patch(json!({"name": " Ada Lovelace "})).await.data(200)["user"]["name"],
        json!("Ada Lovelace")
    );
    let me = user.get("/api/auth/me").await.data(200);
    assert_eq!(me["user"]["name"], json!("Ada Lovelace"));
    assert_eq!(
        patch(json!({"name": ""})).await.error(),
        "400 VALIDATION_ERROR: `name` must have 1 to 100 characters, and no control characters"
    );
    assert_eq!(
        patch(json!({"name": "Ada", "role": "ADMINISTRATOR"}))
            .await
            .error(),
        "400 VALIDATION_ERROR: `role` is unknown"
    );
}
