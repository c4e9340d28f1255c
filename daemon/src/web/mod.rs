//! What a daemon answers over HTTP: whether it lives (`/health`), whether it can do its work (`/ready`), what it counts of itself
//! (`/metrics`), and the realtime feed (`/socket.io/`).

pub mod health;
pub mod metrics;

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::error;

use self::health::{Health, Readiness};
use crate::cuttable::{Listener, Peer};

/// `/health` and `/ready`.
pub fn probes(health: Arc<Health>) -> Router {
    Router::new()
        .route("/health", get(async || Json(json!({"status": "ok"}))))
        .route("/ready", get(ready))
        .with_state(health)
}

async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, Json<Readiness>) {
    let readiness = health.readiness().await;
    let status = if readiness.is_ready() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness))
}

/// Serves these routes until `stop`. Whoever is behind them finds a [`Peer`] and its address as connection information.
pub async fn serve(listener: TcpListener, routes: Router, stop: CancellationToken) {
    let routes = routes.layer(middleware::from_fn(tell_address));
    let service = routes.into_make_service_with_connect_info::<Peer>();
    let served = axum::serve(Listener::over(listener), service)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await;
    if let Err(error) = served {
        error!(%error, "the listener ended");
    }
}

/// Tells the peer's address as axum's own listener does.
async fn tell_address(ConnectInfo(peer): ConnectInfo<Peer>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(ConnectInfo(peer.address));
    next.run(request).await.into_response()
}
