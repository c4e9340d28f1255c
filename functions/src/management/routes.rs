//! The table of this function's routes.

use axum::Router;
use axum::routing::{delete, get, patch, post};

use super::admin::{overview, workers};
use super::audit_logs;
use super::instances::{
    connect, create, delete, disconnect, keys, list, logout, messages, qr, restart, show, stats, status,
    update,
};
use super::subscription::{self, members};
use super::{subscriptions, users};
use crate::openapi::Operation;
use crate::state::AppState;

/// Every route of this function.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/api/admin/overview", get(overview::handler))
        .route("/api/admin/workers", get(workers::handler))
        .route("/api/audit-logs", get(audit_logs::handler))
        .route("/api/instances", post(create::handler).get(list::handler))
        .route(
            "/api/instances/{instance}",
            get(show::handler).put(update::handler).delete(delete::handler),
        )
        .route("/api/instances/{instance}/status", get(status::handler))
        .route("/api/instances/{instance}/qr", get(qr::handler))
        .route("/api/instances/{instance}/connect", post(connect::handler))
        .route("/api/instances/{instance}/disconnect", post(disconnect::handler))
        .route("/api/instances/{instance}/logout", post(logout::handler))
        .route("/api/instances/{instance}/restart", post(restart::handler))
        .route("/api/instances/{instance}/stats", get(stats::handler))
        .route("/api/instances/{instance}/messages", get(messages::handler))
        .route(
            "/api/instances/{instance}/keys",
            post(keys::create::handler).get(keys::list::handler),
        )
        .route(
            "/api/instances/{instance}/keys/{key}",
            patch(keys::update::handler).delete(keys::revoke::handler),
        )
        .route(
            "/api/instances/{instance}/keys/{key}/rotate",
            post(keys::rotate::handler),
        )
        .route("/api/subscription", get(subscription::show::handler))
        .route("/api/subscription/usage", get(subscription::usage::handler))
        .route(
            "/api/subscription/members",
            post(members::invite::handler).get(members::list::handler),
        )
        .route(
            "/api/subscription/members/{user}",
            delete(members::remove::handler),
        )
        .route("/api/subscriptions", get(subscriptions::list::handler))
        .route(
            "/api/subscriptions/{subscription}",
            get(subscriptions::show::handler).patch(subscriptions::update::handler),
        )
        .route(
            "/api/users",
            post(users::create::handler).get(users::list::handler),
        )
        .route(
            "/api/users/{user}",
            get(users::show::handler)
                .patch(users::update::handler)
                .delete(users::delete::handler),
        )
}

/// What the document tells of them.
pub fn operations() -> Vec<Operation> {
    vec![
        overview::operation(),
        workers::operation(),
        audit_logs::operation(),
        create::operation(),
        list::operation(),
        show::operation(),
        update::operation(),
        delete::operation(),
        status::operation(),
        qr::operation(),
        connect::operation(),
        disconnect::operation(),
        logout::operation(),
        restart::operation(),
        stats::operation(),
        messages::operation(),
        keys::create::operation(),
        keys::list::operation(),
        keys::update::operation(),
        keys::revoke::operation(),
        keys::rotate::operation(),
        subscription::show::operation(),
        subscription::usage::operation(),
        members::invite::operation(),
        members::list::operation(),
        members::remove::operation(),
        subscriptions::list::operation(),
        subscriptions::show::operation(),
        subscriptions::update::operation(),
        users::create::operation(),
        users::list::operation(),
        users::show::operation(),
        users::update::operation(),
        users::delete::operation(),
    ]
}
