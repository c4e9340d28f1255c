//! What a user manages: instances and their keys, who belongs to a subscription; and what
//! administrators do.

mod admin;
mod audit_logs;
mod instances;
pub(crate) mod people;
mod routes;
mod subscription;
mod subscriptions;
mod users;

use axum::Router;

pub(crate) use admin::overview::Response as Overview;
pub(crate) use instances::InstanceView;
pub use routes::{operations, routes};

use crate::state::AppState;
use crate::{docs, http, probes};

/// This function's router.
pub fn router(state: AppState) -> Router {
    let routes = routes().merge(docs::routes());
    http::shell(routes.merge(probes::routes()), state)
}
