//! `auth`: bodies in base64, cookies in a list of their own, preflights.

use serde_json::{Value, json};
use shared::config::Function;

use super::{Deployed, ORIGIN, Reply, call, event};

/// The pair of name and value that an answer sets.
#[track_caller]
fn set(reply: &Reply) -> String {
    let [cookie] = &reply.cookies[..] else {
        panic!("one cookie: {:?}", reply.cookies);
    };
    let (pair, attributes) = cookie.split_once("; ").expect("attributes");
    assert_eq!(
        attributes,
        "HttpOnly; Secure; SameSite=Strict; Path=/api/auth; Max-Age=2592000"
    );
    pair.to_owned()
}

#[tokio::test]
async fn a_browser_registers_and_stays_logged_in_by_its_cookies() {
    let deployed = Deployed::new().await;
    let auth = deployed.function(Function::Auth).await;
    let registered = call(&auth, &event("register-base64")).await;
    let data = registered.data(201);
    assert_eq!(data["user"]["name"], "Adá Łovelace ✓ 🦀");
    assert_eq!(data["tokens"]["refreshToken"], Value::Null);
    assert_eq!(registered.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(registered.header("access-control-allow-credentials"), "true");
    let mut pair = set(&registered);
    for _ in 0..2 {
        let mut refresh = event("refresh-cookies");
        refresh["cookies"][1] = json!(pair);
        let refreshed = call(&auth, &refresh).await;
        assert_eq!(refreshed.data(200)["user"]["email"], "ada@example.com");
        let next = set(&refreshed);
        assert_ne!(next, pair);
        pair = next;
    }
    let login = call(&auth, &event("login")).await;
    assert!(login.data(200)["tokens"]["refreshToken"].is_string());
    assert!(login.cookies.is_empty());
}

#[tokio::test]
async fn a_preflight_is_answered_by_the_function() {
    let deployed = Deployed::new().await;
    let auth = deployed.function(Function::Auth).await;
    let answer = call(&auth, &event("preflight")).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN);
    assert_eq!(
        answer.header("access-control-allow-headers"),
        "content-type,x-waxwing-client"
    );
    let mut elsewhere = event("preflight");
    elsewhere["headers"]["origin"] = json!("https://evil.example");
    let answer = call(&auth, &elsewhere).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
}
