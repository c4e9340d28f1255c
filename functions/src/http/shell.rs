//! The layers around every route: compression outermost, then envelope, request id and
//! security headers, then CORS, the deadline and panics; and the answers where there is no
//! route.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use super::context::RequestContext;
use super::error::{ApiError, Code};
use super::json::MAX_BODY_BYTES;
use super::source_address::source_address;
use super::{envelope, headers, log, request_id};
use crate::state::AppState;

/// The longest that a request may take: API Gateway ends one after 30 s, and its answer
/// would have no envelope.
const DEADLINE: Duration = Duration::from_secs(25);

/// Wraps a router's routes, once.
pub fn shell(routes: Router<AppState>, state: AppState) -> Router {
    shell_within(routes, state, DEADLINE)
}

/// The same with another deadline.
pub fn shell_within(routes: Router<AppState>, state: AppState, deadline: Duration) -> Router {
    routes
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send + 'static>| {
                // What a panic says may hold anything; the hook has written it where panics go.
                ApiError::internal().into_response()
            },
        ))
        .layer(middleware::from_fn_with_state(deadline, in_time))
        .layer(headers::cors(&state.cors_origins))
        .layer(middleware::from_fn_with_state(state.clone(), around))
        .layer(CompressionLayer::new())
        .with_state(state)
}

async fn in_time(State(deadline): State<Duration>, request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(deadline, next.run(request)).await;
    answered.unwrap_or_else(|_| too_late().into_response())
}

async fn around(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let (mut parts, body) = request.into_parts();
    let method = parts.method.clone();
    let context = context(&state, &parts);
    parts.extensions.insert(context.clone());
    let handling = next.run(Request::from_parts(parts, body));
    let response = context.clone().around(handling).await;
    log::answered(&response, &context, begun.elapsed());
    let mut response = envelope::write(response, &context, state.clock.now().into());
    headers::secure(&mut response);
    if method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

fn context(state: &AppState, parts: &Parts) -> RequestContext {
    let id = request_id::of(&parts.headers, state.clock.now());
    let route = parts.extensions.get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let source = source_address(parts, state.trusted_proxies);
    RequestContext::new(id, parts.method.clone(), route, source)
}

fn too_late() -> ApiError {
    ApiError::new(
        Code::UpstreamTimeout,
        "The request took too long; it may or may not have taken effect",
    )
    .with_details(json!({"outcome": "unknown"}))
}

async fn unknown_route(uri: Uri) -> ApiError {
    ApiError::new(Code::NotFound, format!("There is no route {}", uri.path()))
}

async fn wrong_method() -> ApiError {
    ApiError::new(
        Code::MethodNotAllowed,
        "The route does not have this method; `Allow` lists those it has",
    )
}
