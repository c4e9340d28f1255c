//! The refresh token as a cookie.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use shared::config::CorsOrigins;

use crate::support::{Answer, Caller, PASSWORD, User, World};

const FORBIDDEN: &str = "403 FORBIDDEN: The refresh token came as a cookie: send the header `X-Waxwing-Client` with it, or the token in the body";

/// A browser with a cookie, on a page of one's own.
fn page(world: &World, cookie: &str) -> Caller {
    anywhere(world, cookie).with_header("x-waxwing-client", "dashboard")
}

/// The same on a page of somebody else's, or without scripts.
fn anywhere(world: &World, cookie: &str) -> Caller {
    let cookie = format!("theme=dark; {cookie}; other=1");
    world.nobody.with_header("cookie", &cookie)
}

/// A refresh by the cookie alone, from a page of one's own.
async fn refresh(world: &World, cookie: &str) -> Answer {
    page(world, cookie).post("/api/auth/refresh", ()).await
}

/// The pair of name and value that an answer sets.
#[track_caller]
fn set(answer: &Answer) -> String {
    let (pair, attributes) = answer.header("set-cookie").split_once("; ").expect("a cookie");
    assert_eq!(
        attributes,
        "HttpOnly; Secure; SameSite=Strict; Path=/api/auth; Max-Age=2592000"
    );
    assert!(pair.starts_with("waxwing_refresh="));
    pair.to_owned()
}

/// A user who is logged in in a browser, and the cookie.
async fn registered(world: &World) -> (String, String) {
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada", "cookie": true});
    let answer = world.nobody.post("/api/auth/register", body).await;
    let data = answer.data(201);
    assert_eq!(data["tokens"]["refreshToken"], Value::Null);
    let token = data["tokens"]["accessToken"].as_str().expect("a token");
    (token.to_owned(), set(&answer))
}

#[tokio::test]
async fn a_session_lives_by_its_cookie_from_login_to_logout() {
    let world = World::new().await;
    registered(&world).await;
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "cookie": true});
    let login = world.nobody.post("/api/auth/login", body).await;
    assert_eq!(login.data(200)["tokens"]["refreshToken"], Value::Null);
    let mut cookie = set(&login);
    for body in [None, Some(json!({})), Some(json!({"cookie": true}))] {
        let answer = page(&world, &cookie).post("/api/auth/refresh", body).await;
        let data = answer.data(200);
        assert_eq!(data["tokens"]["refreshToken"], Value::Null);
        let access = data["tokens"]["accessToken"].as_str().expect("a token");
        assert_eq!(world.caller(access).get("/api/auth/me").await.status, 200);
        let next = set(&answer);
        assert_ne!(next, cookie);
        cookie = next;
    }
    // The page's access token is over or forgotten.
    let answer = page(&world, &cookie).post("/api/auth/logout", ()).await;
    assert_eq!(answer.data(200), json!({"loggedOut": true}));
    assert_eq!(
        answer.header("set-cookie"),
        "waxwing_refresh=; HttpOnly; Secure; SameSite=Strict; Path=/api/auth; Max-Age=0"
    );
    let answer = refresh(&world, &cookie).await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_cookie_alone_shows_nothing() {
    let world = World::new().await;
    let (token, cookie) = registered(&world).await;
    for path in ["/api/auth/refresh", "/api/auth/logout"] {
        let answer = anywhere(&world, &cookie).post(path, ()).await;
        assert_eq!(answer.error(), FORBIDDEN, "{path}");
        assert_eq!(answer.header("set-cookie"), "");
    }
    assert_eq!(world.caller(&token).get("/api/auth/me").await.status, 200);
    // Without a cookie the header is of no use either.
    let answer = refresh(&world, "x=1").await;
    assert_eq!(answer.error(), "400 VALIDATION_ERROR: `refreshToken` is missing");
    let answer = page(&world, "x=1").post("/api/auth/logout", ()).await;
    assert_eq!(answer.status, 401);
    let answer = refresh(&world, "waxwing_refresh=forged").await;
    assert_eq!(answer.status, 401);
    refresh(&world, &cookie).await.data(200);
}

#[tokio::test]
async fn a_token_in_the_body_stays_in_bodies_and_counts_first() {
    let world = World::new().await;
    let (_, cookie) = registered(&world).await;
    let User { refresh_token, .. } = world.register("bob@example.com").await;
    let body = json!({"refreshToken": refresh_token});
    let answer = anywhere(&world, &cookie).post("/api/auth/refresh", body).await;
    let data = answer.data(200);
    assert_eq!(data["user"]["email"], json!("bob@example.com"));
    assert_eq!(answer.header("set-cookie"), "");
    // It can become a cookie.
    let body = json!({"refreshToken": data["tokens"]["refreshToken"], "cookie": true});
    let answer = world.nobody.post("/api/auth/refresh", body).await;
    assert_eq!(answer.data(200)["tokens"]["refreshToken"], Value::Null);
    let bobs = set(&answer);
    // And a session ends by a token in the body.
    let token = bobs.split_once('=').expect("a pair").1;
    let body = json!({"refreshToken": token});
    world.nobody.post("/api/auth/logout", body).await.data(200);
    let answer = refresh(&world, &bobs).await;
    assert_eq!(answer.status, 401);
    refresh(&world, &cookie).await.data(200);
}

#[tokio::test]
async fn a_changed_password_gives_a_browser_its_next_cookie() {
    let world = World::new().await;
    let (token, cookie) = registered(&world).await;
    let body = json!({"currentPassword": PASSWORD, "newPassword": "another horse, another battery"});
    let path = "/api/auth/change-password";
    let answer = page(&world, &cookie).with_token(&token).post(path, body).await;
    assert_eq!(answer.data(200)["tokens"]["refreshToken"], Value::Null);
    let next = set(&answer);
    let answer = refresh(&world, &cookie).await;
    assert_eq!(answer.status, 401);
    refresh(&world, &next).await.data(200);
}

#[tokio::test]
async fn pages_of_the_configured_origins_may_send_cookie_and_header() {
    let preflight = || {
        Request::builder()
            .method("OPTIONS")
            .uri("/api/auth/refresh")
            .header("origin", "https://app.example.com")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "x-waxwing-client")
            .body(Body::empty())
            .expect("well-formed")
    };
    for (origins, credentials) in [
        (
            CorsOrigins::These(vec!["https://app.example.com".to_owned()]),
            "true",
        ),
        // Where any page may call, none sends the user's cookies.
        (CorsOrigins::Any, ""),
    ] {
        let world = World::with(|mut config| {
            config.base.cors_origins = origins;
            config
        })
        .await;
        let answer = world.send(preflight()).await;
        assert_eq!(answer.header("access-control-allow-headers"), "x-waxwing-client");
        assert_eq!(answer.header("access-control-allow-credentials"), credentials);
    }
}
