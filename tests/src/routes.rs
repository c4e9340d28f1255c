//! The routes, from the OpenAPI document, which a test of `functions` holds to the routers.

use reqwest::Method;
use serde_json::Value;

/// What is served as it lies in the binary: it costs the table nothing, and answers without the envelope.
const PAGES: [&str; 2] = ["/api/docs", "/api/openapi.json"];

/// Every route that answers with the envelope, as `GET /api/instances/{instance}`, in order.
pub fn all() -> Vec<String> {
    let document: Value = serde_json::from_str(functions::openapi::json()).expect("JSON");
    let mut routes = Vec::new();
    let paths = document["paths"].as_object().expect("paths").iter();
    for (path, item) in paths.filter(|(path, _)| !PAGES.iter().any(|page| path.starts_with(page))) {
        for method in ["get", "post", "put", "patch", "delete"] {
            if item.get(method).is_some() {
                routes.push(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    routes.sort();
    routes
}

/// The method and the path of a route with these for its parameters.
pub fn request(route: &str, parameters: &[&str]) -> (Method, String) {
    let (method, path) = route.split_once(' ').expect("a method and a path");
    let mut parameters = parameters.iter();
    let path: Vec<_> = path
        .split('/')
        .map(|part| match part.strip_prefix('{') {
            Some(name) => *parameters.next().unwrap_or_else(|| panic!("no {name}")),
            None => part,
        })
        .collect();
    (method.parse().expect("a method"), path.join("/"))
}
