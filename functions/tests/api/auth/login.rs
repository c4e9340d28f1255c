//! `POST /api/auth/login`.

use chrono::TimeDelta;
use serde_json::json;
use shared::domain::audit::{Action, Outcome};

use crate::management::people::{audited, id};
use crate::support::{Answer, PASSWORD, World};

const WRONG: &str = "401 INVALID_CREDENTIALS: E-mail address and password do not go together";

#[tokio::test]
async fn a_login_gives_tokens_however_the_address_is_written() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    let body = json!({"email": "ADA@example.com", "password": PASSWORD});
    let data = world.nobody.post("/api/auth/login", body).await.data(200);
    assert_eq!(data["user"]["email"], json!("ada@example.com"));
    let token = data["tokens"]["accessToken"].as_str().expect("a token");
    assert_eq!(world.caller(token).get("/api/auth/me").await.status, 200);
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
        assert_eq!(world.nobody.post("/api/auth/login", body).await.error(), WRONG);
    }
}

#[tokio::test]
async fn members_are_strict() {
    let world = World::new().await;
    let told = async |body| world.nobody.post("/api/auth/login", body).await.error();
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
        world.nobody.post("/api/auth/login", body).await
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

const LOCKED: &str = "429 ACCOUNT_LOCKED: Too many failed logins: try again when the lock has ended";

async fn login_from(world: &World, source: &str, email: &str, password: &str) -> Answer {
    let body = json!({"email": email, "password": password});
    world
        .nobody
        .from_address(source)
        .post("/api/auth/login", body)
        .await
}

#[tokio::test]
async fn who_guesses_at_a_stranger_locks_out_its_own_network_alone() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    for n in 0..10 {
        let source = format!("198.51.100.{n}");
        let answer = login_from(&world, &source, "ada@example.com", "a wrong password").await;
        assert_eq!(answer.error(), WRONG);
    }
    // The network is what counts: another address of it does not buy more guesses.
    let answer = login_from(&world, "198.51.100.99", "ada@example.com", PASSWORD).await;
    assert_eq!(answer.error(), LOCKED);
    for source in ["198.51.101.1", "2001:db8::1"] {
        let answer = login_from(&world, source, "ada@example.com", PASSWORD).await;
        assert_eq!(answer.status, 200, "{source}");
    }
}

/// Guesses at an account from so many networks that it is locked.
async fn lock_from_everywhere(world: &World, email: &str) {
    for network in 0..10 {
        for n in 0..10 {
            let source = format!("2001:db8:{network}::{n}");
            let answer = login_from(world, &source, email, "a wrong password").await;
            assert_eq!(answer.error(), WRONG, "{source}");
        }
    }
}

#[tokio::test]
async fn guesses_from_many_networks_lock_an_account_but_not_where_its_user_is_known() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    // From home, once.
    login_from(&world, "203.0.113.7", "ada@example.com", PASSWORD)
        .await
        .data(200);
    lock_from_everywhere(&world, "ada@example.com").await;
    for source in ["198.51.100.1", "2001:db8:ffff::1"] {
        let answer = login_from(&world, source, "ada@example.com", PASSWORD).await;
        assert_eq!(answer.error(), LOCKED, "{source}");
    }
    // A session goes on, and changes its password.
    assert_eq!(user.get("/api/auth/me").await.status, 200);
    let body = json!({"currentPassword": PASSWORD, "newPassword": PASSWORD});
    let elsewhere = user.from_address("198.51.100.1");
    let changed = elsewhere.post("/api/auth/change-password", body).await;
    changed.data(200);
    // Home is known, whichever address the provider gives today.
    let answer = login_from(&world, "203.0.113.200", "ada@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200);
    // Who reads the account's mails is let in as well.
    world.nobody.forget_password("ada@example.com").await;
    let body = json!({"token": world.mail.code("ada@example.com"), "password": PASSWORD});
    let elsewhere = world.nobody.from_address("198.51.100.1");
    let reset = elsewhere.post("/api/auth/reset-password", body).await;
    reset.data(200);
    let answer = login_from(&world, "198.51.100.1", "ada@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200);
    world.clock.advance(TimeDelta::minutes(15));
    let answer = login_from(&world, "2001:db8:ffff::1", "ada@example.com", PASSWORD).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_network_is_known_for_a_while_and_guesses_do_not_take_that_away() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    let home = "203.0.113.7";
    login_from(&world, home, "ada@example.com", PASSWORD)
        .await
        .data(200);
    for _ in 0..10 {
        let answer = login_from(&world, home, "ada@example.com", "a wrong password").await;
        assert_eq!(answer.error(), WRONG);
    }
    world.clock.advance(TimeDelta::days(89));
    // A new term for the pair, with one failure.
    assert_eq!(
        login_from(&world, home, "ada@example.com", "wrong again")
            .await
            .error(),
        WRONG
    );
    world.clock.advance(TimeDelta::minutes(15));
    lock_from_everywhere(&world, "ada@example.com").await;
    login_from(&world, home, "ada@example.com", PASSWORD)
        .await
        .data(200);
    world.clock.advance(TimeDelta::days(91));
    lock_from_everywhere(&world, "ada@example.com").await;
    assert_eq!(
        login_from(&world, home, "ada@example.com", PASSWORD)
            .await
            .error(),
        LOCKED
    );
}

#[tokio::test]
async fn a_network_is_known_by_registering_and_by_a_session_that_goes_on() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    // Where the registration came from, without any login.
    lock_from_everywhere(&world, "ada@example.com").await;
    login_from(&world, "192.0.2.1", "ada@example.com", PASSWORD)
        .await
        .data(200);
    // Ninety days and more, with a refresh every three weeks.
    let mut token = user.refresh_token;
    for _ in 0..5 {
        world.clock.advance(TimeDelta::days(21));
        let body = json!({"refreshToken": token});
        let data = world.nobody.post("/api/auth/refresh", body).await.data(200);
        token = data["tokens"]["refreshToken"]
            .as_str()
            .expect("a text")
            .to_owned();
    }
    lock_from_everywhere(&world, "ada@example.com").await;
    login_from(&world, "192.0.2.1", "ada@example.com", PASSWORD)
        .await
        .data(200);
    let stranger = login_from(&world, "198.51.100.1", "ada@example.com", PASSWORD).await;
    assert_eq!(stranger.error(), LOCKED);
}

#[tokio::test]
async fn a_lock_is_audited_with_its_user_and_in_whole_seconds() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    world.clock.advance(TimeDelta::milliseconds(1));
    for email in ["ada@example.com", "nobody@example.com"] {
        for _ in 0..11 {
            let body = json!({"email": email, "password": "a wrong password"});
            world.nobody.post("/api/auth/login", body).await;
        }
    }
    let mut entries = audited(&world, Action::Locked).await;
    // Both are of one millisecond.
    entries.sort_by_key(|entry| entry.target.is_some());
    let [of_nobody, of_ada] = &entries[..] else {
        panic!("two locks, not {entries:?}")
    };
    assert_eq!(of_ada.target, Some(id(&user).await));
    assert_eq!(of_ada.subscription, user.subscription.parse().ok());
    assert_eq!((&of_nobody.target, of_nobody.subscription), (&None, None));
    for entry in [of_ada, of_nobody] {
        assert_eq!(entry.outcome, Outcome::Denied);
        assert_eq!(entry.details["what"], "network");
        assert_eq!(entry.details["until"], "2026-01-01T00:15:01Z");
    }
}

#[tokio::test]
async fn one_source_makes_no_more_items_than_its_own_limit_allows() {
    let world = World::with(|mut config| {
        config.auth.auth_rate = 10_000;
        config
    })
    .await;
    for n in 0..200 {
        login_from(&world, "198.51.100.1", &format!("user{n}@example.com"), PASSWORD).await;
    }
    let items = world.items().await;
    let locks = items.keys().filter(|(pk, _)| pk.starts_with("lock#"));
    let runs_out = items.iter().filter(|((pk, _), _)| pk.starts_with("lock#"));
    assert!(runs_out.clone().all(|(_, item)| item.contains_key("exp")));
    // A pair and an account for each of its fifty failures, and itself.
    assert_eq!(locks.count(), 101);
}

#[tokio::test]
async fn an_unknown_address_is_locked_alike() {
    let world = World::new().await;
    let login = async || {
        let body = json!({"email": "nobody@example.com", "password": PASSWORD});
        world.nobody.post("/api/auth/login", body).await.status
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
        world.nobody.post("/api/auth/login", body)
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
            assert_eq!(world.nobody.post("/api/auth/login", body).await.status, 401);
        }
        let body = json!({"email": "ada@example.com", "password": PASSWORD});
        assert_eq!(world.nobody.post("/api/auth/login", body).await.status, 200);
    }
}

#[tokio::test]
async fn an_address_that_tries_many_accounts_is_locked() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    for n in 0..50 {
        let body = json!({"email": format!("user{n}@example.com"), "password": PASSWORD});
        assert_eq!(world.nobody.post("/api/auth/login", body).await.error(), WRONG);
    }
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    assert_eq!(
        world.nobody.post("/api/auth/login", body).await.error(),
        "429 ACCOUNT_LOCKED: Too many failed logins: try again when the lock has ended"
    );
}

#[tokio::test]
async fn an_address_has_a_rate_limit_that_resets() {
    let world = World::new().await;
    let call = async || world.nobody.post("/api/auth/login", json!({})).await;
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
