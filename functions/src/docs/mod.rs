//! The API's documentation: the OpenAPI document, a page that shows it, and a page for each code of errors. One function of the deployment serves them:
//! the page's files are a megabyte of its binary.

mod errors;
mod openapi;
mod page;

pub use self::openapi::Document;
use crate::endpoint::Endpoint;

/// The endpoints of the documentation, which serve this document.
pub fn endpoints<S: Clone + Send + Sync + 'static>(document: Document) -> Vec<Endpoint<S>> {
    vec![
        openapi::endpoint(document),
        page::endpoint(),
        page::file_endpoint(),
        errors::index_endpoint(),
        errors::endpoint(),
    ]
}
