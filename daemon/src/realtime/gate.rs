//! Before anybody is asked for a token: a connection to the feed gets its place, or is refused as a request.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use shared::forwarded;

use super::refusal::{Code, Refusal};
use super::ticket::Ticket;
use super::{Inner, PATH, Realtime};
use crate::cuttable::Peer;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// When somebody may try again, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

/// Gives a connection to the feed its place, or refuses it.
pub async fn give_ticket(State(realtime): State<Realtime>, mut request: Request, next: Next) -> Response {
    let rest = request.uri().path().strip_prefix(PATH);
    if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
        return next.run(request).await;
    }
    let Inner {
        feed,
        places,
        full,
        trusted_proxies,
        ..
    } = &*realtime.0;
    if feed.closes() {
        // Clients try again, and find another daemon. On an open connection they would be refused for good.
        return busy("The daemon stops; try again");
    }
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<Peer>>().cloned() else {
        let refusal = Refusal::new(Code::Internal, "The connection cannot be cut");
        return refuse(StatusCode::INTERNAL_SERVER_ERROR, &refusal);
    };
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        full.add(1);
        return busy("As many sockets are open as may be; try again later");
    };
    let lines = request.headers().get_all(FORWARDED_FOR).iter();
    let from = forwarded::first_trusted(lines.map(HeaderValue::as_bytes), *trusted_proxies);
    let from = from
        .unwrap_or_else(|| SocketAddr::ip(&peer.address))
        .to_canonical();
    let ticket = Ticket::new(peer.cut, Some(from), place);
    request.extensions_mut().insert(ticket);
    next.run(request).await
}

fn busy(message: &'static str) -> Response {
    let refusal = Refusal::new(Code::Unavailable, message);
    let mut response = refuse(StatusCode::SERVICE_UNAVAILABLE, &refusal);
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

fn refuse(status: StatusCode, refusal: &Refusal) -> Response {
    (status, axum::Json(refusal.body())).into_response()
}
