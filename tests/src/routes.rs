//! The routes, from the functions' lists of endpoints.

use functions::service;
use reqwest::Method;

/// What is served as it lies in the binary: it costs the table nothing, and answers without the envelope.
const PAGES: [&str; 2] = ["/api/docs", "/api/openapi.json"];

/// Every route that answers with the envelope, as `GET /api/instances/{instance}`, in order.
pub fn all() -> Vec<String> {
    let operations = service::every_operation();
    let mut routes: Vec<_> = operations
        .iter()
        .filter(|operation| !PAGES.iter().any(|page| operation.path().starts_with(page)))
        .map(|operation| format!("{} {}", operation.method(), operation.path()))
        .collect();
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
