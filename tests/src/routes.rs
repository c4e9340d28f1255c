//! The routes, from the functions' lists of endpoints.

use std::sync::LazyLock;

use functions::openapi::WHOEVER_SERVES_IT;
use functions::service;
use reqwest::Method;
use serde_json::Value;
use shared::domain::content::Kind;

/// What is served as it lies in the binary, with all that is below it: it costs the table nothing, and answers without the
/// envelope.
const PAGES: [&str; 3] = ["/api/docs", "/api/openapi.json", "/docs/errors"];

/// The same of the pairing page, below which there is more.
const PAIRING_PAGE: [&str; 3] = ["/pair/{token}", "/pair/page.css", "/pair/page.js"];

/// Every route that answers with the envelope, as `GET /api/instances/{instance}`, in order.
pub fn all() -> Vec<String> {
    let operations = service::every_operation();
    let mut routes: Vec<_> = operations
        .iter()
        .filter(|operation| !PAGES.iter().any(|page| operation.path().starts_with(page)))
        .filter(|operation| !PAIRING_PAGE.contains(&operation.path()))
        .map(|operation| format!("{} {}", operation.method(), operation.path()))
        .collect();
    routes.sort();
    routes
}

/// A route that sends one kind of message.
pub struct SendRoute {
    /// As in [`all`].
    pub route: String,
    /// The request that the document shows for it.
    body: Value,
}

impl SendRoute {
    /// A request to send to this number, where the route asks whom to.
    pub fn to(&self, number: &str) -> Value {
        let mut body = self.body.clone();
        // What goes to all who may see it names nobody.
        if body.get("to").is_some() {
            body["to"] = number.into();
        }
        body
    }
}

/// The routes that send, one for each kind of message that is not about another.
pub fn sends() -> &'static [SendRoute] {
    static SENDS: LazyLock<Vec<SendRoute>> = LazyLock::new(|| {
        let document = serde_json::to_value(service::document(WHOEVER_SERVES_IT)).expect("JSON");
        let route = |kind: &Kind| {
            let path = format!("/api/messages/{kind}");
            let body = &document["paths"][&path]["post"]["requestBody"]["content"]["application/json"];
            assert!(body["example"].is_object(), "no route sends the kind {kind}");
            SendRoute {
                route: format!("POST {path}"),
                body: body["example"].clone(),
            }
        };
        let kinds = Kind::SENT.iter().filter(|kind| !kind.is_about_another());
        kinds.map(route).collect()
    });
    &SENDS
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
