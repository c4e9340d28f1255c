//! What a user manages: instances and their keys.

mod audit_logs;
mod instances;
mod routes;

use axum::Router;

pub(crate) use instances::InstanceView;
pub use routes::routes;

use crate::state::AppState;
use crate::{http, operations};

/// This function's router.
pub fn router(state: AppState) -> Router {
    http::shell(routes().merge(operations::routes()), state)
}
