//! Each protected route, called by everyone who may not.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::auth::api_key::Scope;
use shared::clock::Clock;
use shared::domain::audit::{Action, Outcome};

use crate::management::people;
use crate::support::{Answer, World, request};

const USER_ROUTES: &[(&str, &str)] = &[
    ("GET", "/api/auth/me"),
    ("PATCH", "/api/auth/me"),
    ("POST", "/api/auth/logout"),
    ("POST", "/api/auth/change-password"),
    ("POST", "/api/auth/resend-verification"),
    ("GET", "/api/audit-logs"),
    ("POST", "/api/instances"),
    ("GET", "/api/instances"),
    ("GET", "/api/instances/sales"),
    ("GET", "/api/instances/sales/status"),
    ("GET", "/api/instances/sales/qr"),
    ("PUT", "/api/instances/sales"),
    ("GET", "/api/instances/sales/stats"),
    ("GET", "/api/instances/sales/messages"),
    ("POST", "/api/instances/sales/connect"),
    ("POST", "/api/instances/sales/disconnect"),
    ("POST", "/api/instances/sales/restart"),
    ("POST", "/api/instances/sales/logout"),
    ("DELETE", "/api/instances/sales"),
    ("POST", "/api/instances/sales/keys"),
    ("GET", "/api/instances/sales/keys"),
    (
        "PATCH",
        "/api/instances/sales/keys/key_01JD0000000000000000000000",
    ),
    (
        "DELETE",
        "/api/instances/sales/keys/key_01JD0000000000000000000000",
    ),
    (
        "POST",
        "/api/instances/sales/keys/key_01JD0000000000000000000000/rotate",
    ),
    ("GET", "/api/subscription"),
    ("GET", "/api/subscription/usage"),
    ("GET", "/api/subscription/members"),
    ("POST", "/api/subscription/members"),
    (
        "DELETE",
        "/api/subscription/members/user_01JD0000000000000000000000",
    ),
    ("GET", "/api/subscriptions"),
    ("GET", "/api/subscriptions/sub_01JD0000000000000000000000"),
    ("PATCH", "/api/subscriptions/sub_01JD0000000000000000000000"),
    ("POST", "/api/users"),
    ("GET", "/api/users"),
    ("GET", "/api/users/user_01JD0000000000000000000000"),
    ("PATCH", "/api/users/user_01JD0000000000000000000000"),
    ("DELETE", "/api/users/user_01JD0000000000000000000000"),
];

/// What the paths of routes begin with that are an administrator's alone.
const ADMINISTRATORS: &[&str] = &["/api/users", "/api/subscriptions"];

const KEY_ROUTES: &[(&str, &str, Scope)] = &[
    ("POST", "/api/messages/text", Scope::MessagesSend),
    (
        "GET",
        "/api/messages/msg_01JD0000000000000000000000",
        Scope::MessagesRead,
    ),
    ("GET", "/api/instance/info", Scope::InstanceRead),
    ("GET", "/api/stats", Scope::StatsRead),
];

/// Routes that are anyone's.
const OPEN_ROUTES: &[(&str, &str)] = &[
    ("POST", "/api/auth/register"),
    ("POST", "/api/auth/login"),
    ("POST", "/api/auth/refresh"),
    ("POST", "/api/auth/forgot-password"),
    ("POST", "/api/auth/reset-password"),
    ("POST", "/api/auth/verify-email"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/api/version"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/docs"),
    ("GET", "/api/docs/start.js"),
];

/// Every route of the tables, read from their sources: method and path, with the names of its parameters.
pub fn routes() -> BTreeSet<(String, String)> {
    let tables = [
        include_str!("../../src/auth/routes.rs"),
        include_str!("../../src/management/routes.rs"),
        include_str!("../../src/messaging/routes.rs"),
        include_str!("../../src/operations/mod.rs"),
    ];
    let mut routes = BTreeSet::new();
    for route in tables.iter().flat_map(|table| table.split(".route(").skip(1)) {
        let path = route.split('"').nth(1).expect("a path");
        for (router, method) in [
            ("get(", "GET"),
            ("post(", "POST"),
            ("put(", "PUT"),
            ("patch(", "PATCH"),
            ("delete(", "DELETE"),
        ] {
            let chained = format!(".{router}");
            if route.contains(&format!(" {router}")) || route.contains(&chained) {
                routes.insert((method.to_owned(), path.to_owned()));
            }
        }
    }
    routes
}

/// The same with values for the parameters.
fn all_routes() -> BTreeSet<(String, String)> {
    let with_values = |path: String| {
        path.replace("{instance}", "sales")
            .replace("{key}", "key_01JD0000000000000000000000")
            .replace("{user}", "user_01JD0000000000000000000000")
            .replace("{subscription}", "sub_01JD0000000000000000000000")
            .replace("{file}", "start.js")
            .replace("{message}", "msg_01JD0000000000000000000000")
    };
    let routes = routes().into_iter();
    routes.map(|(method, path)| (method, with_values(path))).collect()
}

#[test]
fn every_route_is_in_one_of_the_tables_above() {
    let keys = KEY_ROUTES.iter().map(|(method, path, _)| (*method, *path));
    let known = USER_ROUTES.iter().chain(OPEN_ROUTES).copied().chain(keys);
    let known: BTreeSet<_> = known
        .map(|(method, path)| (method.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(all_routes(), known);
}

async fn call(world: &World, method: &str, path: &str, token: &str) -> Answer {
    let body = if ["POST", "PUT", "PATCH"].contains(&method) {
        "{}"
    } else {
        ""
    };
    world.send(request(method, token, path, body.into())).await
}

#[tokio::test]
async fn a_user_route_takes_a_valid_access_token_alone() {
    let world = World::new().await;
    let (user, _, key) = world.ready().await;
    let claims = user.token.split('.').nth(1).expect("three parts");
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT","kid":"test"}"#);
    let unsigned = format!("{header}.{claims}.");
    let (head, signature) = user.token.rsplit_once('.').expect("three parts");
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
            &key,
            "401 UNAUTHENTICATED: This route wants the access token of a login, not an API key",
        ),
    ];
    for (method, path) in USER_ROUTES {
        for (token, error) in wrong {
            let answer = call(&world, method, path, token).await;
            assert_eq!(answer.error(), error, "{method} {path}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            assert_eq!(answer.json()["meta"].get("instanceName"), None);
        }
    }
    world.clock.advance(TimeDelta::minutes(15));
    for (method, path) in USER_ROUTES {
        assert_eq!(
            call(&world, method, path, &user.token).await.error(),
            "401 TOKEN_EXPIRED: The access token has expired: refresh it or log in again",
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn an_administrators_route_takes_no_other_user_and_each_refusal_is_audited() {
    let world = World::new().await;
    // An owner of a subscription is no administrator.
    let user = world.register("ada@example.com").await;
    let mut refused = Vec::new();
    for (method, path) in USER_ROUTES {
        if ADMINISTRATORS.iter().any(|start| path.starts_with(start)) {
            let answer = call(&world, method, path, &user.token).await;
            let forbidden = "403 FORBIDDEN: Only an administrator may do this";
            assert_eq!(answer.error(), forbidden, "{method} {path}");
            refused.push((*method).to_owned());
        }
    }
    let entries = people::audited(&world, Action::AccessDenied).await;
    let mut audited: Vec<_> = entries
        .iter()
        .map(|entry| entry.details["method"].clone())
        .collect();
    audited.sort_unstable();
    refused.sort_unstable();
    assert_eq!(audited, refused);
    for entry in entries {
        assert_eq!(entry.outcome, Outcome::Denied);
        assert_eq!(
            entry.subscription,
            Some(user.subscription.parse().expect("an id"))
        );
        assert!(!entry.details["route"].contains("01JD"), "{entry:?}");
    }
}

#[tokio::test]
async fn a_key_route_takes_a_valid_key_with_its_scope_alone() {
    let world = World::new().await;
    let (user, instance, _) = world.ready().await;
    let unknown = format!("wak_test_{}", "x".repeat(43));
    let expires_at = (world.clock.now() + TimeDelta::seconds(60)).to_rfc3339();
    let expiring = world.key(&user, instance, json!({"expiresAt": expires_at})).await;
    world.clock.advance(TimeDelta::seconds(60));
    let elsewhere = json!({"allowedCidrs": ["198.51.100.0/24", "2001:db8::/32"]});
    let elsewhere = world.key(&user, instance, elsewhere).await;
    let here = json!({"allowedCidrs": ["192.0.2.0/24"]});
    let here = world.key(&user, instance, here).await;
    for (method, path, scope) in KEY_ROUTES {
        let others: Vec<_> = Scope::ALL.iter().filter(|other| *other != scope).collect();
        let without = world.key(&user, instance, json!({"scopes": others})).await;
        let lacks = format!("403 INSUFFICIENT_SCOPE: The API key lacks the scope `{scope}`");
        let wrong = [
            (
                "",
                "401 UNAUTHENTICATED: A token is needed: send `Authorization: Bearer <token>`",
            ),
            (&*unknown, "401 UNAUTHENTICATED: There is no such API key"),
            (&expiring, "401 UNAUTHENTICATED: The API key has expired"),
            (
                &elsewhere,
                "403 IP_NOT_ALLOWED: The API key may not be used from this address",
            ),
            (&without, &lacks),
            (
                &user.token,
                "401 UNAUTHENTICATED: This route wants an API key, which starts with `wak_`, not an access token",
            ),
        ];
        for (token, error) in wrong {
            assert_eq!(call(&world, method, path, token).await.error(), error, "{path}");
        }
        let only = world.key(&user, instance, json!({"scopes": [scope]})).await;
        for key in [&only, &here] {
            let answer = call(&world, method, path, key).await;
            assert!(![401, 403].contains(&answer.status), "{path}: {answer:?}");
            assert_eq!(answer.json()["meta"]["instanceName"], json!("sales"));
        }
    }
}

#[tokio::test]
async fn an_inactive_subscription_is_served_nothing() {
    let world = World::new().await;
    let (user, _, key) = world.ready().await;
    let subscription = user.subscription.parse().expect("an id");
    let table = &world.state.table;
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
    for (method, path) in USER_ROUTES {
        assert_eq!(call(&world, method, path, &user.token).await.error(), inactive);
    }
    for (method, path, _) in KEY_ROUTES {
        assert_eq!(call(&world, method, path, &key).await.error(), inactive);
    }
}

#[tokio::test]
async fn another_subscriptions_instance_does_not_exist() {
    let world = World::new().await;
    let (_, instance, _) = world.ready().await;
    let other = world.register("eve@example.com").await;
    for which in [
        instance.to_string(),
        "sales".to_owned(),
        "no such name!".replace(' ', "%20"),
    ] {
        for (method, end) in [
            ("GET", ""),
            ("GET", "/status"),
            ("GET", "/qr"),
            ("GET", "/stats"),
            ("GET", "/messages"),
            ("PUT", ""),
            ("POST", "/connect"),
            ("POST", "/disconnect"),
            ("POST", "/restart"),
            ("POST", "/logout"),
            ("DELETE", ""),
        ] {
            let path = format!("/api/instances/{which}{end}");
            let answer = call(&world, method, &path, &other.token).await;
            assert_eq!(answer.status, 404, "{path}");
            assert_eq!(answer.json()["error"]["code"], json!("NOT_FOUND"));
        }
        let path = format!("/api/instances/{which}/keys");
        let answer = world.post(&other.token, &path, json!({"name": "mine"})).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let list: Value = world.get(&other.token, "/api/instances").await.data(200);
    assert_eq!(list, json!([]));
}
