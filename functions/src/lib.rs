//! Waxwing's HTTP API: stateless handlers, one router per function of the deployment.
//!
//! A route's handler is in the file whose path mirrors its URL; each router's `routes.rs`
//! has them all in one table. What the routers share is in [`http`] and [`state`].

pub mod auth;
mod cached;
mod connection;
mod docs;
mod fleet;
pub mod http;
pub mod lambda;
pub mod management;
pub mod messaging;
pub mod openapi;
mod probes;
mod setup;
pub mod state;
mod statistics;

use axum::Router;

use http::Limits;
use state::AppState;

/// All routes, for a process that serves them by itself.
pub fn all(state: AppState) -> Router {
    all_within(state, Limits::default())
}

/// The same with other limits than usual.
pub fn all_within(state: AppState, limits: Limits) -> Router {
    let routes = auth::routes()
        .merge(management::routes())
        .merge(messaging::routes());
    let routes = routes.merge(docs::routes());
    http::shell_within(routes.merge(probes::routes()), state, limits)
}
