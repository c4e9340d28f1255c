//! Waxwing's HTTP API: stateless handlers, one router per function of the deployment.
//!
//! A route's handler is in the file whose path mirrors its URL; each router's `routes.rs`
//! has them all in one table. What the routers share is in [`http`] and [`state`].

pub mod auth;
mod cached;
mod fleet;
pub mod http;
pub mod lambda;
pub mod management;
pub mod messaging;
pub mod openapi;
mod operations;
mod presence;
pub mod state;
mod statistics;

use axum::Router;

use state::AppState;

/// All routes, for a process that serves them by itself.
pub fn all(state: AppState) -> Router {
    let routes = auth::routes()
        .merge(management::routes())
        .merge(messaging::routes());
    http::shell(routes.merge(operations::routes()), state)
}
