//! Every error that any test of this suite is answered with is one that the document lists for its route.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use functions::openapi::WHOEVER_SERVES_IT;
use functions::service;
use serde_json::Value;

/// A route, and the codes of the errors that it may answer.
struct Route {
    method: String,
    parts: Vec<String>,
    codes: BTreeSet<String>,
}

static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| {
    let document = serde_json::to_value(service::document(WHOEVER_SERVES_IT)).expect("JSON");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            routes.push(Route {
                method: method.to_uppercase(),
                parts: path.split('/').map(str::to_owned).collect(),
                codes: codes(&document, operation),
            });
        }
    }
    routes
});

/// The codes that the document lists for an operation.
fn codes(document: &Value, operation: &Value) -> BTreeSet<String> {
    let responses = operation["responses"].as_object().expect("responses");
    let named = responses
        .values()
        .filter_map(|response| response["$ref"].as_str())
        .map(|reference| reference.trim_start_matches('#'))
        .map(|pointer| document.pointer(pointer).expect("it leads somewhere"));
    named
        .filter_map(|response| response["content"]["application/json"]["examples"].as_object())
        .flat_map(|examples| examples.keys().cloned())
        .collect()
}

impl Route {
    /// How many parts of the path the route spells out, where it is of this path.
    fn spells(&self, method: &str, parts: &[&str]) -> Option<usize> {
        if self.method != method || self.parts.len() != parts.len() {
            return None;
        }
        let mut spelt = 0;
        for (own, part) in self.parts.iter().zip(parts) {
            if own == part {
                spelt += 1;
            } else if !own.starts_with('{') || part.is_empty() {
                return None;
            }
        }
        Some(spelt)
    }
}

/// The route of a request, if there is one.
fn route(method: &str, path: &str) -> Option<&'static Route> {
    let parts: Vec<_> = path.split('/').collect();
    let found = ROUTES
        .iter()
        .filter_map(|route| Some((route.spells(method, &parts)?, route)));
    found.max_by_key(|(spelt, _)| *spelt).map(|(_, route)| route)
}

/// The same router, which panics where it answers an error that its route does not list.
pub fn held_to_it(router: Router) -> Router {
    router.layer(from_fn(watch))
}

async fn watch(request: Request, next: Next) -> Response {
    let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
    let response = next.run(request).await;
    if response.status().as_u16() < 400 {
        return response;
    }
    let Some(route) = route(&method, &path) else {
        return response;
    };
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.expect("a whole body");
    let told: Value = serde_json::from_slice(&bytes).expect("an envelope");
    let code = told["error"]["code"].as_str().expect("a code");
    assert!(
        route.codes.contains(code),
        "{method} {}: the document does not list {code}: {told}",
        route.parts.join("/")
    );
    Response::from_parts(parts, Body::from(bytes))
}

#[test]
fn the_routes_of_the_document_are_found_by_their_paths() {
    let list = |method, path| route(method, path).map(|route| &route.codes);
    let status = list("POST", "/api/messages/status").expect("a route");
    assert!(status.contains("CONFLICT") && !status.contains("EDIT_WINDOW_CLOSED"));
    let edit = list("PATCH", "/api/messages/msg_01JD0000000000000000000000").expect("a route");
    assert!(edit.contains("EDIT_WINDOW_CLOSED") && edit.contains("NOT_FOUND"));
    assert!(list("POST", "/api/messages/msg_01JD0000000000000000000000").is_none());
    assert!(ROUTES.iter().all(|route| route.codes.contains("INTERNAL")));
}
