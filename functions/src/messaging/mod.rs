//! What a program does through an instance: send messages and see what became of them.

mod instance;
pub(crate) mod messages;
pub(crate) mod people;
mod routes;
mod stats;

use axum::Router;

pub(crate) use messages::{Accepted, AcceptedView, IdempotencyKey};
pub use routes::{operations, routes};

use crate::state::AppState;
use crate::{http, probes};

/// This function's router.
pub fn router(state: AppState) -> Router {
    http::shell(routes().merge(probes::routes()), state)
}
