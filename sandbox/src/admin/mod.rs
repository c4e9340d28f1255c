//! The admin API: what tests and newcomers drive the network with. JSON over HTTP, no authentication.

mod app_state;
mod error;
mod faults;
mod groups;
mod inbox;
mod media;
mod metrics;
mod people;
mod phone;
mod phones;
mod scan;
mod stanzas;
mod stats;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde::Serialize;

use crate::network::Network;
use crate::server::{connection, frames};

/// The most that a body has beside a file, in bytes.
const SMALL_BODY: u64 = 256 * 1024;

/// Every route of the port.
pub(crate) fn router(network: Arc<Network>) -> Router {
    // A file in base64, and some words about it.
    let file = usize::try_from(network.config.media_max_bytes / 3 * 4 + SMALL_BODY).unwrap_or(usize::MAX);
    Router::new()
        .route("/ws/chat", get(chat))
        .route("/admin/root-pub", get(stats::root_pub))
        .route("/admin/ca.pem", get(media::ca))
        .route("/admin/media/expire", post(media::expire))
        .route("/admin/stats", get(stats::stats))
        .route("/admin/mock-phone/scan-qr", post(scan::scan_qr))
        .route("/admin/phones", get(phones::list).post(phones::create))
        .route("/admin/phones/{phone}", delete(phones::remove))
        .route("/admin/phones/{phone}/inbox", get(inbox::list))
        .route("/admin/phones/{phone}/inbox/{id}", get(inbox::message))
        .route(
            "/admin/phones/{phone}/inbox/{id}/media",
            get(media::open).delete(media::forget),
        )
        .route("/admin/phones/{phone}/picture", post(media::picture))
        .route(
            "/admin/phones/{phone}/send",
            post(inbox::send).layer(DefaultBodyLimit::max(file)),
        )
        .route("/admin/phones/{phone}/read", post(inbox::read))
        .route(
            "/admin/phones/{phone}/auto-reply",
            get(inbox::auto_reply)
                .post(inbox::set_auto_reply)
                .delete(inbox::end_auto_reply),
        )
        .route(
            "/admin/phones/{phone}/groups",
            get(groups::list).post(groups::create),
        )
        .route("/admin/phones/{phone}/groups/{group}", patch(groups::edit))
        .route(
            "/admin/phones/{phone}/groups/{group}/participants",
            post(groups::change_participants),
        )
        .route(
            "/admin/phones/{phone}/groups/{group}/picture",
            post(media::group_picture),
        )
        .route(
            "/admin/phones/{phone}/groups/{group}/invite-link",
            post(groups::reset_invite_link),
        )
        .route("/admin/phones/{phone}/join", post(groups::join))
        .route("/admin/phones/{phone}/leave", post(groups::leave))
        .route(
            "/admin/phones/{phone}/app-state",
            get(app_state::list).post(app_state::act),
        )
        .route("/admin/phones/{phone}/stanza", post(stanzas::send))
        .route("/admin/phones/{phone}/offline", post(phones::offline))
        .route("/admin/phones/{phone}/online", post(phones::online))
        .route("/admin/phones/{phone}/unlink", post(phones::unlink))
        .route("/admin/phones/{phone}/link-code", post(scan::link_code))
        .route("/admin/phones/{phone}/passkey", post(scan::passkey))
        .route(
            "/admin/phones/{phone}/typing",
            get(people::typing).post(people::type_to),
        )
        .route("/admin/phones/{phone}/call", post(people::call))
        .route("/admin/phones/{phone}/presence", post(people::set_presence))
        .route("/admin/phones/{phone}/block", post(people::block))
        .route("/admin/phones/{phone}/reachout-lock", post(people::lock_reachout))
        .route("/admin/phones/{phone}/about", post(people::about))
        .route("/admin/phones/{phone}/name", post(people::name))
        .route(
            "/admin/phones/{phone}/privacy",
            get(people::get_privacy).post(people::set_privacy),
        )
        .route(
            "/admin/faults",
            get(faults::list).post(faults::add).delete(faults::clear),
        )
        .route("/admin/faults/{id}", delete(faults::remove))
        .route("/admin/restart", post(restart))
        .route("/metrics", get(metrics::metrics))
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .with_state(network)
}

/// `GET /ws/chat`: a WhatsApp client. While the network restarts, and while too many clients have not finished their
/// handshake, 503.
async fn chat(State(network): State<Arc<Network>>, upgrade: WebSocketUpgrade) -> Response {
    let Some(entry) = network.enter() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    upgrade
        .max_message_size(frames::LIMIT)
        .max_frame_size(frames::LIMIT)
        .on_upgrade(move |socket| {
            let connections = network.connections.clone();
            connections.track_future(connection::serve(network, socket, entry))
        })
}

/// `POST /admin/restart`: all connections end at once; the state stays.
async fn restart(State(network): State<Arc<Network>>) -> Json<Restarted> {
    Json(Restarted {
        clients: network.restart().await,
    })
}

/// What a restart did.
#[derive(Debug, Serialize)]
struct Restarted {
    /// The connections that it ended.
    clients: u64,
}
