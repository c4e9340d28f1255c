//! Registration, login, and who is logged in.

mod lock;
mod login;
mod logout;
mod me;
mod refresh;
mod register;
mod routes;
mod tokens;
mod view;

use axum::Router;

pub use routes::routes;

use crate::state::AppState;
use crate::{http, operations};

/// This function's router.
pub fn router(state: AppState) -> Router {
    http::shell(routes().merge(operations::routes()), state)
}
