//! `POST /api/auth/refresh` and `POST /api/auth/logout`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use futures::future::join_all;
use serde_json::{Value, json};
use shared::domain::audit::Action;

use crate::management::people::{administrator, audited};
use crate::support::{Answer, World};

const REFUSED: &str = "401 UNAUTHENTICATED: The refresh token is not valid, was used before, or its session is over: log in again";
const OVER: &str = "401 UNAUTHENTICATED: The access token's session is over: log in again";

async fn refresh(world: &World, token: &str) -> Answer {
    world
        .nobody
        .post("/api/auth/refresh", json!({"refreshToken": token}))
        .await
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn a_refresh_gives_a_new_pair_and_keeps_the_session() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let mut token = user.refresh_token;
    for _ in 0..3 {
        world.clock.advance(TimeDelta::days(20));
        let data = refresh(&world, &token).await.data(200);
        assert_eq!(data["user"]["email"], json!("ada@example.com"));
        let access = text(&data["tokens"]["accessToken"]);
        assert_eq!(world.caller(&access).get("/api/auth/me").await.status, 200);
        let next = text(&data["tokens"]["refreshToken"]);
        assert_ne!(next, token);
        token = next;
    }
    world.clock.advance(TimeDelta::days(30));
    assert_eq!(refresh(&world, &token).await.error(), REFUSED);
}

#[tokio::test]
async fn a_replay_ends_the_session_with_all_its_tokens() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let data = refresh(&world, &user.refresh_token).await.data(200);
    world.clock.advance(TimeDelta::seconds(30));
    assert_eq!(refresh(&world, &user.refresh_token).await.error(), REFUSED);
    let newest = text(&data["tokens"]["refreshToken"]);
    assert_eq!(refresh(&world, &newest).await.error(), REFUSED);
    for access in [&user.token, &text(&data["tokens"]["accessToken"])] {
        assert_eq!(world.caller(access).get("/api/auth/me").await.error(), OVER);
    }
}

#[tokio::test]
async fn two_tabs_at_once_both_go_on_with_the_same_session() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let mut token = user.refresh_token;
    for _ in 0..3 {
        let (one, other) = tokio::join!(refresh(&world, &token), refresh(&world, &token));
        let (one, other) = (one.data(200), other.data(200));
        for pair in [&one, &other] {
            let access = text(&pair["tokens"]["accessToken"]);
            assert_eq!(world.caller(&access).get("/api/auth/me").await.status, 200);
        }
        // One token is good at a time, so neither tab throws the other out whenever it comes again.
        assert_eq!(one["tokens"]["refreshToken"], other["tokens"]["refreshToken"]);
        token = text(&one["tokens"]["refreshToken"]);
        world.clock.advance(TimeDelta::minutes(15));
    }
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_once_more_within_the_grace() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let lost = refresh(&world, &user.refresh_token).await.data(200);
    world.clock.advance(TimeDelta::milliseconds(29_999));
    let again = refresh(&world, &user.refresh_token).await.data(200);
    for pair in [&lost, &again] {
        let access = text(&pair["tokens"]["accessToken"]);
        assert_eq!(world.caller(&access).get("/api/auth/me").await.status, 200);
    }
    // Both are good: the one whose answer was not lost after all, and the other.
    for pair in [lost, again] {
        refresh(&world, &text(&pair["tokens"]["refreshToken"]))
            .await
            .data(200);
    }
}

#[tokio::test]
async fn the_grace_is_for_one_use_and_for_the_token_just_before() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let data = refresh(&world, &user.refresh_token).await.data(200);
    refresh(&world, &user.refresh_token).await.data(200);
    assert_eq!(refresh(&world, &user.refresh_token).await.error(), REFUSED);
    assert_eq!(
        refresh(&world, &text(&data["tokens"]["refreshToken"]))
            .await
            .error(),
        REFUSED
    );
    assert_eq!(audited(&world, Action::RefreshReplayed).await.len(), 1);

    let user = world.register("bob@example.com").await;
    let second = refresh(&world, &user.refresh_token).await.data(200);
    let second = text(&second["tokens"]["refreshToken"]);
    let third = refresh(&world, &second).await.data(200);
    assert_eq!(refresh(&world, &user.refresh_token).await.error(), REFUSED);
    assert_eq!(
        refresh(&world, &text(&third["tokens"]["refreshToken"]))
            .await
            .error(),
        REFUSED
    );
}

#[tokio::test]
async fn of_ten_that_race_with_one_token_two_succeed_at_most() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let answers = join_all((0..10).map(|_| refresh(&world, &user.refresh_token))).await;
    let good: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
    assert!((1..=2).contains(&good.len()), "{}", good.len());
    // The others have replayed it: the session is over for the ones, too.
    let token = text(&good[0].data(200)["tokens"]["refreshToken"]);
    assert_eq!(refresh(&world, &token).await.error(), REFUSED);
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused_in_the_same_words() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    for token in ["", "x", &"x".repeat(65), &"é".repeat(65)] {
        assert_eq!(refresh(&world, token).await.error(), REFUSED);
    }
    let body = json!({"refreshToken": user.refresh_token, "token": "x"});
    let answer = world.nobody.post("/api/auth/refresh", body).await;
    assert_eq!(answer.error(), "400 VALIDATION_ERROR: `token` is unknown");
}

#[tokio::test]
async fn a_logout_ends_its_own_session_at_once_and_no_other() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let body = json!({"email": "ada@example.com", "password": crate::support::PASSWORD});
    let other = world.nobody.post("/api/auth/login", body).await.data(200);
    let other = text(&other["tokens"]["accessToken"]);
    let done = user.post("/api/auth/logout", ()).await;
    assert_eq!(done.data(200), json!({"loggedOut": true}));
    assert_eq!(user.get("/api/auth/me").await.error(), OVER);
    assert_eq!(refresh(&world, &user.refresh_token).await.error(), REFUSED);
    assert_eq!(world.caller(&other).get("/api/auth/me").await.status, 200);
}

#[tokio::test]
async fn a_token_that_is_refused_for_now_is_not_used_up() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let root = administrator(&world, "root@example.com").await;
    let path = format!("/api/subscriptions/{}", user.subscription);
    for (active, status) in [(false, 403), (true, 200)] {
        let changed = root.patch(&path, json!({"active": active})).await;
        changed.data(200);
        assert_eq!(refresh(&world, &user.refresh_token).await.status, status);
    }
    assert!(audited(&world, Action::RefreshReplayed).await.is_empty());
}

#[tokio::test]
async fn an_access_token_does_not_lead_to_its_sessions_end() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    let claims = user.token.split('.').nth(1).expect("three parts");
    let claims = URL_SAFE_NO_PAD.decode(claims).expect("Base64");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    let family = text(&claims["family"]);
    for name in [&family[..22], &family] {
        let forged: String = name.chars().chain(std::iter::repeat('x')).take(65).collect();
        assert_eq!(refresh(&world, &forged).await.error(), REFUSED);
    }
    assert_eq!(refresh(&world, &user.refresh_token).await.status, 200);
}
