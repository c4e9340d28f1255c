//! `GET /`: where a browser comes that was given the stack's address alone. A deployment does not have this route.

use axum::Router;
use axum::response::Redirect;
use axum::routing::get;

/// The way to the pages from which one can call the API.
pub fn routes() -> Router {
    Router::new().route("/", get(async || Redirect::temporary("/api/docs")))
}
