//! What holds for every route.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use axum::routing::get;
use functions::http::ApiError;
use functions::service::{self, Limits, shell};
use serde_json::json;
use shared::config::CorsOrigins;

use crate::support::{Caller, PASSWORD, World};

#[tokio::test]
async fn an_unknown_route_answers_the_envelope() {
    let world = World::new().await;
    let answer = world.nobody.get("/api/nothing").await;
    assert_eq!(answer.error(), "404 NOT_FOUND: There is no route /api/nothing");
    assert!(answer.header("x-request-id").starts_with("req_"));
    assert_eq!(answer.header("content-type"), "application/json");
}

#[tokio::test]
async fn a_wrong_method_lists_the_right_ones() {
    let world = World::new().await;
    let answer = world.nobody.delete("/api/instances").await;
    assert_eq!(
        answer.error(),
        "405 METHOD_NOT_ALLOWED: The route does not have this method; `Allow` lists those it has"
    );
    let mut allowed: Vec<_> = answer.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn a_head_request_gets_the_headers_alone() {
    let world = World::new().await;
    for path in ["/health", "/api/nothing"] {
        let answer = world.nobody.request(Method::HEAD, path, ()).await;
        assert_eq!(answer.bytes, b"");
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn a_callers_request_id_comes_back() {
    let world = World::new().await;
    let caller = world.nobody.with_header("x-request-id", "order-42");
    let answer = caller.get("/health").await;
    assert_eq!(answer.header("x-request-id"), "order-42");
    assert_eq!(
        answer.json(),
        json!({
            "success": true,
            "data": {"status": "ok"},
            "meta": {"timestamp": "2026-01-01T00:00:00.000Z", "request_id": "order-42"},
        })
    );
}

#[tokio::test]
async fn a_body_must_be_json_by_type_and_by_syntax() {
    let world = World::new().await;
    let form = world
        .nobody
        .with_header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(
        form.post("/api/auth/login", "email=ada").await.error(),
        "415 UNSUPPORTED_MEDIA_TYPE: The body must be JSON: send `Content-Type: application/json`"
    );
    let broken = world.nobody.post("/api/auth/login", "{\"email\":").await;
    assert_eq!(
        broken.error(),
        "400 INVALID_JSON: The body is not well-formed JSON (line 1, column 9)"
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_one_at_it_is_read() {
    let world = World::new().await;
    let login = |length: usize| {
        let body = json!({"email": "ada@example.com", "password": PASSWORD}).to_string();
        let padding = " ".repeat(length - body.len());
        world.nobody.post("/api/auth/login", body + &padding)
    };
    let limit = 1024 * 1024;
    assert_eq!(
        login(limit + 1).await.error(),
        "413 PAYLOAD_TOO_LARGE: The body is larger than 1048576 bytes"
    );
    assert_eq!(
        login(limit).await.error(),
        "401 INVALID_CREDENTIALS: E-mail address and password do not go together"
    );
}

#[tokio::test]
async fn every_function_tells_of_itself() {
    let world = World::new().await;
    let ready = world.nobody.get("/ready").await.data(200);
    assert_eq!(
        ready,
        json!({"status": "ready", "networks": [{"network": "sandbox", "waitingInFirstShard": 0}]})
    );
    let version = world.nobody.get("/api/version").await.data(200);
    assert_eq!(version, json!({"version": env!("CARGO_PKG_VERSION")}));
    for router in [
        service::auth(world.states.auth.clone()),
        service::management(world.states.management.clone()),
        service::messaging(world.states.messaging.clone()),
    ] {
        let caller = Caller::in_memory(router);
        assert_eq!(caller.get("/health").await.status, 200);
    }
}

#[tokio::test]
async fn without_its_table_a_function_is_not_ready() {
    let world = World::new().await;
    world
        .state
        .table
        .client()
        .delete_table()
        .table_name(world.state.table.name())
        .send()
        .await
        .expect("deleted");
    let answer = world.nobody.get("/ready").await;
    assert_eq!(
        answer.error(),
        "503 UNAVAILABLE: The service cannot do this now; try again later"
    );
}

#[tokio::test]
async fn a_panic_answers_the_envelope() {
    let world = World::new().await;
    let panics = get(async || -> Result<(), ApiError> { panic!("a defect, with a secret in its words") });
    let panics = Router::new().route("/panics", panics);
    let router = shell(panics, world.states.base.clone(), Limits::default());
    let answer = Caller::in_memory(router).get("/panics").await;
    assert_eq!(answer.error(), "500 INTERNAL: Something went wrong on our side");
    assert!(!String::from_utf8_lossy(&answer.bytes).contains("secret"));
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    let world = World::new().await;
    let hangs = get(async || -> Result<(), ApiError> { std::future::pending().await });
    let routes = Router::new().route("/hangs", hangs);
    let limits = Limits {
        deadline: Duration::from_millis(1),
        ..Limits::default()
    };
    let caller = Caller::in_memory(shell(routes, world.states.base.clone(), limits));
    let answer = caller.get("/hangs").await;
    assert_eq!(
        answer.error(),
        "504 UPSTREAM_TIMEOUT: The request took too long; it may or may not have taken effect"
    );
    assert_eq!(answer.json()["error"]["details"], json!({"outcome": "unknown"}));
}

#[tokio::test]
async fn without_its_queues_a_function_is_not_ready_and_says_when_to_ask_again() {
    let world = World::new().await;
    world.queue.fail(true);
    let answer = world.nobody.get("/ready").await;
    assert_eq!(
        answer.error(),
        "503 UNAVAILABLE: The service cannot do this now; try again later"
    );
    assert_eq!(answer.header("retry-after"), "2");
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let world = World::new().await;
    for path in ["/health", "/api/nothing", "/api/instances"] {
        let answer = world.nobody.get(path).await;
        for (name, value) in [
            ("strict-transport-security", "max-age=31536000; includeSubDomains"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "SAMEORIGIN"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("origin-agent-cluster", "?1"),
            ("x-dns-prefetch-control", "off"),
            ("x-download-options", "noopen"),
            ("x-permitted-cross-domain-policies", "none"),
            ("x-xss-protection", "0"),
        ] {
            assert_eq!(answer.header(name), value, "{path}: {name}");
        }
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'self';base-uri 'self';"),
            "{policy}"
        );
    }
}

fn preflight(origin: &str) -> Request<Body> {
    Request::options("/api/instances/sales/keys")
        .header(header::ORIGIN, origin)
        .header("access-control-request-method", "PATCH")
        .header("access-control-request-headers", "authorization,content-type")
        .body(Body::empty())
        .expect("well-formed")
}

#[tokio::test]
async fn pages_of_configured_origins_alone_may_call() {
    let ours = "https://app.example.com";
    let world = World::with(|mut config| {
        config.base.cors_origins = CorsOrigins::These(vec![ours.to_owned()]);
        config
    })
    .await;
    let answer = world.send(preflight(ours)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), ours);
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    assert_eq!(
        answer.header("access-control-allow-headers"),
        "authorization,content-type"
    );
    assert_eq!(answer.header("x-frame-options"), "SAMEORIGIN");
    for origin in ["https://evil.example.com", "https://app.example.com.evil.example"] {
        let answer = world.send(preflight(origin)).await;
        assert_eq!(answer.header("access-control-allow-origin"), "", "{origin}");
    }
    let page = world.nobody.with_header("origin", ours);
    let answer = page.get("/api/instances").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("access-control-allow-origin"), ours);
    let exposed = answer.header("access-control-expose-headers");
    for name in ["x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining"] {
        assert!(exposed.contains(name), "{exposed}");
    }
}

#[tokio::test]
async fn where_any_origin_may_call_all_may() {
    let world = World::with(|mut config| {
        config.base.cors_origins = CorsOrigins::Any;
        config
    })
    .await;
    let answer = world.send(preflight("https://anyone.example")).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header("access-control-allow-credentials"), "");
}

#[tokio::test]
async fn an_answer_is_compressed_for_who_takes_it() {
    let world = World::new().await;
    let caller = world.nobody.with_header("accept-encoding", "gzip");
    let answer = caller.get("/health").await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert_eq!(answer.bytes[..2], [0x1f, 0x8b]);
    let plain = world.nobody.get("/health").await;
    assert_eq!(plain.header("content-encoding"), "");
    assert_eq!(plain.data(200), json!({"status": "ok"}));
}

#[tokio::test]
async fn behind_a_proxy_a_keys_addresses_are_those_that_the_proxy_saw() {
    let world = World::with(|mut config| {
        config.base.trusted_proxies = 1;
        config
    })
    .await;
    let (user, instance, _) = world.ready().await;
    let here = json!({"allowedCidrs": ["203.0.113.0/24"]});
    let key = world.key(&user, instance, here).await;
    let from = async |forwarded: &str| {
        let key = key.with_header("x-forwarded-for", forwarded);
        key.get("/api/instance/info").await.status
    };
    assert_eq!(from("203.0.113.5").await, 200);
    assert_eq!(from("198.51.100.1, 203.0.113.5").await, 200);
    // What stands left of the proxy's own entry is the caller's invention.
    assert_eq!(from("203.0.113.5, 198.51.100.1").await, 403);
    assert_eq!(from("203.0.113.5, nonsense").await, 403);
}
