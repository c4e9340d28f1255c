//! `POST /api/auth/login`.

use chrono::TimeDelta;
use serde_json::json;

use crate::support::{PASSWORD, World};

const WRONG: &str = "401 INVALID_CREDENTIALS: E-mail address and password do not go together";

#[tokio::test]
async fn a_login_gives_tokens_however_the_address_is_written() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    let body = json!({"email": "ADA@example.com", "password": PASSWORD});
    let data = world.post("", "/api/auth/login", body).await.data(200);
    assert_eq!(data["user"]["email"], json!("ada@example.com"));
    let token = data["tokens"]["accessToken"].as_str().expect("a token");
    assert_eq!(world.get(token, "/api/auth/me").await.status, 200);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_answer_alike() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    for (email, password) in [
        ("ada@example.com", "correct horse battery stapl"),
        ("ada@example.com", ""),
        ("ada@example.com", &*"x".repeat(200)),
        ("bob@example.com", PASSWORD),
    ] {
        let body = json!({"email": email, "password": password});
        assert_eq!(world.post("", "/api/auth/login", body).await.error(), WRONG);
    }
}

#[tokio::test]
async fn members_are_strict() {
    let world = World::new().await;
    let told = async |body| world.post("", "/api/auth/login", body).await.error();
    assert_eq!(
        told(json!({"email": "ada@example.com"})).await,
        "400 VALIDATION_ERROR: `password` is missing"
    );
    assert_eq!(
        told(json!({"email": "ada@example.com", "password": PASSWORD, "pasword": "x"})).await,
        "400 VALIDATION_ERROR: `pasword` is unknown"
    );
    assert_eq!(
        told(json!({"email": ["ada@example.com"], "password": PASSWORD})).await,
        "400 VALIDATION_ERROR: `email` must be a string"
    );
    assert_eq!(
        told(json!({"email": "ada", "password": PASSWORD})).await,
        "400 VALIDATION_ERROR: `email` must be an e-mail address, such as name@example.com"
    );
}

#[tokio::test]
async fn guesses_lock_an_account_and_say_until_when() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    let login = async |password: &str| {
        let body = json!({"email": "Ada@Example.com", "password": password});
        world.post("", "/api/auth/login", body).await
    };
    for _ in 0..10 {
        assert_eq!(login("a wrong password").await.error(), WRONG);
    }
    // Now the right password is of no use either.
    let locked = login(PASSWORD).await;
    assert_eq!(
        locked.error(),
        "429 ACCOUNT_LOCKED: Too many failed logins: try again when the lock has ended"
    );
    assert_eq!(locked.header("retry-after"), "900");
    assert_eq!(
        locked.json()["error"]["details"],
        json!({"until": "2026-01-01T00:15:00.000Z"})
    );
    world.clock.advance(TimeDelta::minutes(15));
    assert_eq!(login(PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_unknown_address_is_locked_alike() {
    let world = World::new().await;
    let login = async || {
        let body = json!({"email": "nobody@example.com", "password": PASSWORD});
        world.post("", "/api/auth/login", body).await.status
    };
    for _ in 0..10 {
        assert_eq!(login().await, 401);
    }
    assert_eq!(login().await, 429);
}

#[tokio::test]
async fn no_number_of_guesses_at_once_gets_past_the_limit() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    let guesses = (0..40).map(|n| {
        let body = json!({"email": "ada@example.com", "password": format!("guess {n}")});
        world.post("", "/api/auth/login", body)
    });
    let answers = futures::future::join_all(guesses).await;
    let looked_at = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!(looked_at, 10);
    assert_eq!(answers.iter().filter(|answer| answer.status == 429).count(), 30);
}

#[tokio::test]
async fn a_right_password_clears_the_count() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    for _ in 0..3 {
        for _ in 0..9 {
            let body = json!({"email": "ada@example.com", "password": "a wrong password"});
            assert_eq!(world.post("", "/api/auth/login", body).await.status, 401);
        }
        let body = json!({"email": "ada@example.com", "password": PASSWORD});
        assert_eq!(world.post("", "/api/auth/login", body).await.status, 200);
    }
}

#[tokio::test]
async fn an_address_that_tries_many_accounts_is_locked() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    for n in 0..50 {
        let body = json!({"email": format!("user{n}@example.com"), "password": PASSWORD});
        assert_eq!(world.post("", "/api/auth/login", body).await.error(), WRONG);
    }
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    assert_eq!(
        world.post("", "/api/auth/login", body).await.error(),
        "429 ACCOUNT_LOCKED: Too many failed logins: try again when the lock has ended"
    );
}

#[tokio::test]
async fn an_address_has_a_rate_limit_that_resets() {
    let world = World::new().await;
    let call = async || world.post("", "/api/auth/login", json!({})).await;
    for left in (0..120).rev() {
        let answer = call().await;
        assert_eq!(answer.status, 400);
        assert_eq!(answer.header("x-ratelimit-remaining"), left.to_string());
    }
    let refused = call().await;
    assert_eq!(
        refused.error(),
        "429 RATE_LIMITED: Too many requests: 120 are allowed, and the count begins anew at 00:01:00 UTC"
    );
    assert_eq!(refused.header("retry-after"), "60");
    world.clock.advance(TimeDelta::minutes(1));
    assert_eq!(call().await.status, 400);
}
