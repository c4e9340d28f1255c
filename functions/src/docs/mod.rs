//! The API's documentation: the OpenAPI document, and a page that shows it. One function of the deployment serves them:
//! the page's files are a megabyte of its binary.

mod openapi;
mod page;

use crate::endpoint::Endpoint;

/// The endpoints of the documentation.
pub fn endpoints() -> Vec<Endpoint> {
    vec![openapi::endpoint(), page::endpoint(), page::file_endpoint()]
}
