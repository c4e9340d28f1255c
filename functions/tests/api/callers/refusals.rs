//! In which words each kind of caller is refused, and what is recorded of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde_json::json;
use shared::auth::api_key::Scope;
use shared::clock::Clock;
use shared::domain::audit::{Action, Actor, Outcome};

use super::cast::{Caller, Cast};
use super::table::{Route, Takes, table};
use crate::management::people;

/// The routes that an access token is for.
fn user_routes() -> Vec<Route> {
    let mut routes = table();
    routes.retain(|route| matches!(route.takes, Takes::User | Takes::Administrator));
    routes
}

/// The routes that an API key is for, each with its scope.
fn key_routes() -> Vec<(Route, Scope)> {
    let routes = table().into_iter();
    routes
        .filter_map(|route| match route.takes {
            Takes::Key(scope) => Some((route, scope)),
            _ => None,
        })
        .collect()
}

#[tokio::test]
async fn a_user_route_takes_a_valid_access_token_alone() {
    let cast = Cast::new().await;
    let token = &cast.ada.token;
    let claims = token.split('.').nth(1).expect("three parts");
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT","kid":"test"}"#);
    let unsigned = format!("{header}.{claims}.");
    let (head, signature) = token.rsplit_once('.').expect("three parts");
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{head}.{other}{}", &signature[1..]);
    let wrong = [
        (
            "",
            "401 UNAUTHENTICATED: A token is needed: send `Authorization: Bearer <token>`",
        ),
        (
            "not-a-token",
            "401 UNAUTHENTICATED: The access token is malformed: send the `accessToken` of a login",
        ),
        (
            &unsigned,
            "401 UNAUTHENTICATED: The access token is malformed: send the `accessToken` of a login",
        ),
        (
            &forged,
            "401 UNAUTHENTICATED: The access token was not signed by this service",
        ),
        (
            cast.key.token(),
            "401 UNAUTHENTICATED: This route wants the access token of a login, not an API key",
        ),
    ];
    for route in user_routes() {
        let (method, path) = (route.method, route.path);
        for (token, error) in wrong {
            let answer = cast.send(&route, token).await;
            assert_eq!(answer.error(), error, "{method} {path}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            assert_eq!(answer.json()["meta"].get("instanceName"), None);
        }
        assert_eq!(
            cast.call(&route, Caller::ExpiredToken).await.error(),
            "401 TOKEN_EXPIRED: The access token has expired: refresh it or log in again",
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn an_administrators_route_takes_no_other_user_and_each_refusal_is_audited() {
    let cast = Cast::new().await;
    let mut refused = Vec::new();
    for route in user_routes() {
        if route.takes == Takes::Administrator {
            // An owner of a subscription is no administrator.
            let answer = cast.call(&route, Caller::User).await;
            let forbidden = "403 FORBIDDEN: Only an administrator may do this";
            assert_eq!(answer.error(), forbidden, "{} {}", route.method, route.path);
            refused.push((route.method.to_owned(), route.path.to_owned()));
        }
    }
    let entries = people::audited(&cast.world, Action::AccessDenied).await;
    let mut audited: Vec<_> = entries
        .iter()
        .map(|entry| (entry.details["method"].clone(), entry.details["route"].clone()))
        .collect();
    audited.sort_unstable();
    refused.sort_unstable();
    assert_eq!(audited, refused);
    for entry in entries {
        assert_eq!(entry.outcome, Outcome::Denied);
        let subscription = cast.ada.subscription.parse().expect("an id");
        assert_eq!(entry.subscription, Some(subscription));
    }
}

#[tokio::test]
async fn a_key_route_takes_a_valid_key_with_its_scope_alone() {
    let cast = Cast::new().await;
    let (world, sales) = (&cast.world, cast.sales);
    let unknown = format!("wak_test_{}", "x".repeat(43));
    let expires_at = (world.clock.now() + TimeDelta::seconds(60)).to_rfc3339();
    let expired = world
        .key(&cast.ada, sales, json!({"expiresAt": expires_at}))
        .await;
    world.clock.advance(TimeDelta::seconds(60));
    let here = json!({"allowedCidrs": ["192.0.2.0/24"], "scopes": Scope::ALL});
    let here = world.key(&cast.ada, sales, here).await;
    for (route, scope) in key_routes() {
        let path = route.path;
        let lacks = format!("403 INSUFFICIENT_SCOPE: The API key lacks the scope `{scope}`");
        for (caller, error) in [
            (
                Caller::Nobody,
                "401 UNAUTHENTICATED: A token is needed: send `Authorization: Bearer <token>`",
            ),
            (
                Caller::User,
                "401 UNAUTHENTICATED: This route wants an API key, which starts with `wak_`, not an access token",
            ),
            (
                Caller::RevokedKey,
                "401 UNAUTHENTICATED: The API key has been revoked",
            ),
            (
                Caller::KeyFromElsewhere,
                "403 IP_NOT_ALLOWED: The API key may not be used from this address",
            ),
            (Caller::KeyWithoutTheScope, &lacks),
        ] {
            assert_eq!(cast.call(&route, caller).await.error(), error, "{path}");
        }
        for (key, error) in [
            (&*unknown, "401 UNAUTHENTICATED: There is no such API key"),
            (expired.token(), "401 UNAUTHENTICATED: The API key has expired"),
        ] {
            assert_eq!(cast.send(&route, key).await.error(), error, "{path}");
        }
        let only = cast.key_with(&[scope]).await;
        for key in [&*only, here.token()] {
            let answer = cast.send(&route, key).await;
            assert!(answer.is_success(), "{path}: {answer:?}");
            assert_eq!(answer.json()["meta"]["instanceName"], json!("sales"));
        }
    }
}

#[tokio::test]
async fn the_first_refusal_of_a_known_key_in_an_hour_is_audited() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let expires_at = (world.clock.now() + TimeDelta::seconds(60)).to_rfc3339();
    let expired = world
        .key(&cast.ada, cast.sales, json!({"expiresAt": expires_at}))
        .await;
    world.clock.advance(TimeDelta::seconds(60));
    let (route, scope) = key_routes().remove(0);
    let mut others = Scope::ALL.to_vec();
    others.retain(|other| *other != scope);
    let lacking = cast.key_with(&others).await;
    for _ in 0..3 {
        for caller in [
            Caller::Key,
            Caller::Garbage,
            Caller::RevokedKey,
            Caller::KeyFromElsewhere,
        ] {
            cast.call(&route, caller).await;
        }
        cast.send(&route, expired.token()).await;
        cast.send(&route, &lacking).await;
    }
    let entries = people::audited(world, Action::KeyRefused).await;
    let mut reasons: Vec<_> = entries.iter().map(|entry| &*entry.details["reason"]).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["address", "expired", "revoked", "scope"]);
    for entry in &entries {
        assert_eq!(entry.outcome, Outcome::Denied);
        assert!(matches!(entry.actor, Actor::Key(_)), "{entry:?}");
        let subscription = cast.ada.subscription.parse().expect("an id");
        assert_eq!(entry.subscription, Some(subscription));
        assert_eq!(entry.target, Some(cast.sales.to_string()));
        assert!(entry.request.is_some());
    }

    world.clock.advance(TimeDelta::hours(1));
    cast.call(&route, Caller::RevokedKey).await;
    let later = people::audited(world, Action::KeyRefused).await;
    assert_eq!(later.len(), entries.len() + 1);
}

#[tokio::test]
async fn an_inactive_subscription_is_served_nothing() {
    let cast = Cast::new().await;
    let subscription = cast.ada.subscription.parse().expect("an id");
    let table = &cast.world.state.table;
    table
        .client()
        .update_item()
        .table_name(table.name())
        .set_key(Some(
            shared::storage::keys::subscription(subscription).attributes(),
        ))
        .update_expression("SET active = :no")
        .expression_attribute_values(":no", aws_sdk_dynamodb::types::AttributeValue::Bool(false))
        .send()
        .await
        .expect("stored");
    let inactive = "403 SUBSCRIPTION_INACTIVE: The subscription is not active";
    for route in user_routes() {
        assert_eq!(cast.call(&route, Caller::User).await.error(), inactive);
    }
    for (route, _) in key_routes() {
        assert_eq!(cast.call(&route, Caller::Key).await.error(), inactive);
    }
}

#[tokio::test]
async fn another_subscriptions_instance_does_not_exist_by_any_name() {
    let cast = Cast::new().await;
    let id = cast.sales.to_string();
    for route in user_routes() {
        if !route.path.contains("{instance}") {
            continue;
        }
        for which in [&*id, "sales", "no%20such%20name!"] {
            let path = cast.fill(&route.path.replace("{instance}", which)).await;
            let answer = cast.send_to(&route, &path, &cast.eve.token).await;
            assert_eq!(answer.status, 404, "{} {path}", route.method);
            assert_eq!(answer.json()["error"]["code"], json!("NOT_FOUND"));
        }
    }
    let list = cast.eve.get("/api/instances").await;
    assert_eq!(list.data(200), json!([]));
}

#[tokio::test]
async fn a_key_that_lacks_a_scope_does_not_hide_its_use_from_elsewhere() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let (route, scope) = key_routes().remove(0);
    let mut others = Scope::ALL.to_vec();
    others.retain(|other| *other != scope);
    let key = cast.key_with(&others).await;
    cast.send(&route, &key).await;
    let id = people::audited(world, Action::KeyRefused).await[0].actor;
    let Actor::Key(id) = id else { panic!("{id:?}") };
    let path = format!("/api/instances/{}/keys/{id}", cast.sales);
    let elsewhere = json!({"allowedCidrs": ["203.0.113.0/24"]});
    cast.ada.patch(&path, elsewhere).await.data(200);
    for _ in 0..2 {
        cast.send(&route, &key).await;
    }
    let entries = people::audited(world, Action::KeyRefused).await;
    let mut reasons: Vec<_> = entries.iter().map(|entry| &*entry.details["reason"]).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["address", "scope"]);
}

#[tokio::test]
async fn an_administrator_is_served_in_a_subscription_that_is_switched_off() {
    let cast = Cast::new().await;
    let world = &cast.world;
    let root = people::administrator(world, "boss@example.com").await;
    let path = format!("/api/subscriptions/{}", cast.ada.subscription);
    let off = json!({"active": false});
    root.patch(&path, off).await.data(200);
    let mine = format!("/api/users/{}", people::id(&root).await);
    let there = json!({"subscriptionId": cast.ada.subscription});
    root.patch(&mine, there).await.data(200);
    let root = people::login(world, "boss@example.com").await;
    let body = json!({"refreshToken": root.refresh_token});
    let data = world.nobody.post("/api/auth/refresh", body).await.data(200);
    let token = people::text(&data["tokens"]["accessToken"]);
    world
        .caller(&token)
        .patch(&path, json!({"active": true}))
        .await
        .data(200);
}
