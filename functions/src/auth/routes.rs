//! The table of this function's routes.

use axum::Router;
use axum::routing::{get, post};

use super::{
    change_password, forgot_password, login, logout, me, refresh, register, resend_verification,
    reset_password, verify_email,
};
use crate::openapi::Operation;
use crate::state::AppState;

/// Every route of this function.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/auth/register", post(register::handler))
        .route("/api/auth/login", post(login::handler))
        .route("/api/auth/refresh", post(refresh::handler))
        .route("/api/auth/logout", post(logout::handler))
        .route("/api/auth/me", get(me::show).patch(me::change))
        .route("/api/auth/change-password", post(change_password::handler))
        .route("/api/auth/forgot-password", post(forgot_password::handler))
        .route("/api/auth/reset-password", post(reset_password::handler))
        .route("/api/auth/verify-email", post(verify_email::handler))
        .route(
            "/api/auth/resend-verification",
            post(resend_verification::handler),
        )
}

/// What the document tells of them.
pub fn operations() -> Vec<Operation> {
    vec![
        register::operation(),
        login::operation(),
        refresh::operation(),
        logout::operation(),
        me::operation(),
        me::change_operation(),
        change_password::operation(),
        forgot_password::operation(),
        reset_password::operation(),
        verify_email::operation(),
        resend_verification::operation(),
    ]
}
