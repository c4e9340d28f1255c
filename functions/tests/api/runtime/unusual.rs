//! Events that are not as they should be. A function lives on after each of them.

use serde_json::{Value, json};
use shared::config::Function;
use testbed::lambda;

use super::{Deployed, call, event};

/// It answers as before.
async fn lives_on(function: &lambda::Function) {
    let answer = call(function, &event("probe")).await;
    assert_eq!(answer.data(200), json!({"status": "ok"}));
}

#[tokio::test]
async fn a_body_that_is_missing_or_in_no_base64() {
    let deployed = Deployed::new().await;
    let auth = deployed.function(Function::Auth).await;
    let missing = event("missing-body");
    assert_eq!(call(&auth, &missing).await.code(), "400 INVALID_JSON");
    let mut none = missing;
    none["body"] = Value::Null;
    assert_eq!(call(&auth, &none).await.code(), "400 INVALID_JSON");
    // API Gateway encodes bodies itself, so this is none of its events: the call fails, and no other.
    let malformed = auth.invoke(&event("malformed-base64")).await.error();
    let told = malformed["errorMessage"].as_str().expect("a message");
    assert!(told.contains("base64"), "{told}");
    assert!(!auth.log().contains("{\\\"email"), "a body stays out of the log");
    lives_on(&auth).await;
}

#[tokio::test]
async fn a_header_of_nine_kilobytes() {
    let deployed = Deployed::new().await;
    let management = deployed.function(Function::Management).await;
    let answer = call(&management, &event("huge-header")).await;
    assert_eq!(answer.code(), "401 UNAUTHENTICATED");
    assert!(!management.log().contains("xxxx"), "a token stays out of the log");
    lives_on(&management).await;
}

#[tokio::test]
async fn an_event_of_another_service() {
    let deployed = Deployed::new().await;
    let messaging = deployed.function(Function::Messaging).await;
    for other in [json!({"Records": []}), json!({}), json!("a text"), Value::Null] {
        messaging.invoke(&other).await.error();
        lives_on(&messaging).await;
    }
}
