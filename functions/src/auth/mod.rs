//! Registration, login, and who is logged in.

mod administrator;
mod change_password;
pub(crate) mod cookie;
mod forgot_password;
mod invitation;
mod lock;
mod login;
mod logout;
pub(crate) mod mails;
mod me;
mod refresh;
mod register;
mod resend_verification;
mod reset_password;
mod routes;
mod tokens;
mod verify_email;
pub(crate) mod view;

use axum::Router;

pub use routes::{operations, routes};

use crate::state::AppState;
use crate::{http, probes};

/// This function's router.
pub fn router(state: AppState) -> Router {
    http::shell(routes().merge(probes::routes()), state)
}
