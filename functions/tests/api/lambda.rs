//! API Gateway's events, through the Lambda runtime's own reading of them.

use axum::Router;
use functions::service;
use serde_json::{Value, json};

use crate::support::{Answer, PASSWORD, World};

/// Feeds an event to a router as the runtime does, its marks replaced.
async fn feed(router: Router, event: &str, replace: &[(&str, &str)]) -> Answer {
    let mut event = event.to_owned();
    for (mark, value) in replace {
        event = event.replace(mark, value);
    }
    let request = lambda_http::request::from_str(&event).expect("an event");
    let response = tower::ServiceExt::oneshot(router, request)
        .await
        .expect("infallible");
    Answer::of(response).await
}

#[tokio::test]
async fn a_login_comes_through() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    let event = include_str!("../../fixtures/auth.json");
    let router = service::auth(world.states.auth.clone());
    let data = feed(router, event, &[("PASSWORD", PASSWORD)]).await.data(200);
    assert_eq!(data["user"]["email"], json!("ada@example.com"));
}

#[tokio::test]
async fn a_list_comes_through_with_its_query() {
    let world = World::new().await;
    let user = world.register("ada@example.com").await;
    world.instance(&user, "a").await;
    world.instance(&user, "b").await;
    let event = include_str!("../../fixtures/management.json");
    let router = service::management(world.states.management.clone());
    let answer = feed(router, event, &[("TOKEN", &user.token)]).await;
    assert_eq!(answer.data(200).as_array().map(Vec::len), Some(1));
    assert_eq!(answer.json()["meta"]["pagination"]["limit"], json!(1));
}

#[tokio::test]
async fn a_message_comes_through_from_its_source_address() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    // The event is from 203.0.113.5, and its body is in base64.
    let event = include_str!("../../fixtures/messaging.json");
    let router = service::messaging(world.states.messaging.clone());
    let send = async |cidr: &str| {
        let key = world.key(&user, instance, json!({"allowedCidrs": [cidr]})).await;
        feed(router.clone(), event, &[("TOKEN", key.token())]).await
    };
    let data: Value = send("203.0.113.0/24").await.data(202);
    assert_eq!(data["to"]["phone"], json!("15550100002"));
    assert_eq!(
        send("198.51.100.0/24").await.error(),
        "403 IP_NOT_ALLOWED: The API key may not be used from this address"
    );
}
