//! `GET /api/openapi.json`: the document itself, without an envelope around it.

use std::sync::{Arc, LazyLock};

use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};

use crate::endpoint::Endpoint;
use crate::openapi::Tag;

/// The OpenAPI document of a deployment as JSON. The floor above puts it together, when it is first asked for. Cheap to
/// clone.
#[derive(Clone)]
pub struct Document(Arc<LazyLock<String, Box<dyn FnOnce() -> String + Send>>>);

impl Document {
    /// The document that `make` puts together.
    pub fn new(make: impl FnOnce() -> String + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(make))))
    }

    fn json(&self) -> String {
        String::clone(&self.0)
    }
}

pub fn endpoint<S: Clone + Send + Sync + 'static>(document: Document) -> Endpoint<S> {
    Endpoint::new(Method::GET, "/api/openapi.json", "getOpenApi", move || {
        let document = document.clone();
        async move { handler(document.json()) }
    })
    .about(Tag::Operations, "The OpenAPI document")
    .answers_plain("application/json")
}

pub fn handler(document: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document).into_response()
}
