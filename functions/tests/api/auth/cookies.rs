//! The refresh token as a cookie.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use shared::config::CorsOrigins;

use crate::support::{Answer, PASSWORD, User, World, request};

const FORBIDDEN: &str = "403 FORBIDDEN: The refresh token came as a cookie: send the header `X-Waxwing-Client` with it, or the token in the body";

/// A request as a browser sends it, from a page of one's own.
fn from_page(token: &str, path: &str, cookie: &str, body: Option<Value>) -> Request<Body> {
    let mut request = from_anywhere(token, path, cookie, body);
    let client = "dashboard".parse().expect("a value");
    request.headers_mut().insert("x-waxwing-client", client);
    request
}

/// The same from a page of somebody else's, or without scripts.
fn from_anywhere(token: &str, path: &str, cookie: &str, body: Option<Value>) -> Request<Body> {
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let mut request = request("POST", token, path, body);
    let cookie = format!("theme=dark; {cookie}; other=1");
    let cookie = cookie.parse().expect("a value");
    request.headers_mut().insert("cookie", cookie);
    request
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
    let answer = world.post("", "/api/auth/register", body).await;
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
    let login = world.post("", "/api/auth/login", body).await;
    assert_eq!(login.data(200)["tokens"]["refreshToken"], Value::Null);
    let mut cookie = set(&login);
    for body in [None, Some(json!({})), Some(json!({"cookie": true}))] {
        let answer = world
            .send(from_page("", "/api/auth/refresh", &cookie, body))
            .await;
        let data = answer.data(200);
        assert_eq!(data["tokens"]["refreshToken"], Value::Null);
        let access = data["tokens"]["accessToken"].as_str().expect("a token");
        assert_eq!(world.get(access, "/api/auth/me").await.status, 200);
        let next = set(&answer);
        assert_ne!(next, cookie);
        cookie = next;
    }
    // The page's access token is over or forgotten.
    let answer = world.send(from_page("", "/api/auth/logout", &cookie, None)).await;
    assert_eq!(answer.data(200), json!({"loggedOut": true}));
    assert_eq!(
        answer.header("set-cookie"),
        "waxwing_refresh=; HttpOnly; Secure; SameSite=Strict; Path=/api/auth; Max-Age=0"
    );
    let answer = world
        .send(from_page("", "/api/auth/refresh", &cookie, None))
        .await;
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_cookie_alone_shows_nothing() {
    let world = World::new().await;
    let (token, cookie) = registered(&world).await;
    for path in ["/api/auth/refresh", "/api/auth/logout"] {
        let answer = world.send(from_anywhere("", path, &cookie, None)).await;
        assert_eq!(answer.error(), FORBIDDEN, "{path}");
        assert_eq!(answer.header("set-cookie"), "");
    }
    assert_eq!(world.get(&token, "/api/auth/me").await.status, 200);
    // Without a cookie the header is of no use either.
    let answer = world.send(from_page("", "/api/auth/refresh", "x=1", None)).await;
    assert_eq!(answer.error(), "400 VALIDATION_ERROR: `refreshToken` is missing");
    let answer = world.send(from_page("", "/api/auth/logout", "x=1", None)).await;
    assert_eq!(answer.status, 401);
    let answer = world
        .send(from_page("", "/api/auth/refresh", "waxwing_refresh=forged", None))
        .await;
    assert_eq!(answer.status, 401);
    world
        .send(from_page("", "/api/auth/refresh", &cookie, None))
        .await
        .data(200);
}

#[tokio::test]
async fn a_token_in_the_body_stays_in_bodies_and_counts_first() {
    let world = World::new().await;
    let (_, cookie) = registered(&world).await;
    let User { refresh_token, .. } = world.register("bob@example.com").await;
    let body = json!({"refreshToken": refresh_token});
    let answer = world
        .send(from_anywhere("", "/api/auth/refresh", &cookie, Some(body)))
        .await;
    let data = answer.data(200);
    assert_eq!(data["user"]["email"], json!("bob@example.com"));
    assert_eq!(answer.header("set-cookie"), "");
    // It can become a cookie.
    let body = json!({"refreshToken": data["tokens"]["refreshToken"], "cookie": true});
    let answer = world.post("", "/api/auth/refresh", body).await;
    assert_eq!(answer.data(200)["tokens"]["refreshToken"], Value::Null);
    let bobs = set(&answer);
    // And a session ends by a token in the body.
    let token = bobs.split_once('=').expect("a pair").1;
    let body = json!({"refreshToken": token});
    world.post("", "/api/auth/logout", body).await.data(200);
    let answer = world.send(from_page("", "/api/auth/refresh", &bobs, None)).await;
    assert_eq!(answer.status, 401);
    world
        .send(from_page("", "/api/auth/refresh", &cookie, None))
        .await
        .data(200);
}

#[tokio::test]
async fn a_changed_password_gives_a_browser_its_next_cookie() {
    let world = World::new().await;
    let (token, cookie) = registered(&world).await;
    let body = json!({"currentPassword": PASSWORD, "newPassword": "another horse, another battery"});
    let path = "/api/auth/change-password";
    let answer = world.send(from_page(&token, path, &cookie, Some(body))).await;
    assert_eq!(answer.data(200)["tokens"]["refreshToken"], Value::Null);
    let next = set(&answer);
    let answer = world
        .send(from_page("", "/api/auth/refresh", &cookie, None))
        .await;
    assert_eq!(answer.status, 401);
    world
        .send(from_page("", "/api/auth/refresh", &next, None))
        .await
        .data(200);
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
