//! The layers around every route: compression outermost, then envelope, request id and security headers, then CORS, the
//! deadline and panics; and the answer where there is no route.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::Uri;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use shared::trace;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::http::body::{BodyTimes, MAX_BODY_BYTES};
use crate::http::source_address::source_address;
use crate::http::{ApiError, Code, DocsAt, RequestContext, envelope, headers, log, request_id, traced};
use crate::state::Base;

/// The longest time that a request may take. API Gateway ends one after 30 s, with an answer without an envelope.
const DEADLINE: Duration = Duration::from_secs(25);

/// How long requests may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A request with its answer.
    pub deadline: Duration,
    /// Its body.
    pub body: BodyTimes,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: DEADLINE,
            body: BodyTimes::default(),
        }
    }
}

/// Wraps routes, once.
pub fn shell(routes: Router, state: Base, limits: Limits) -> Router {
    routes
        .fallback(unknown_route)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(CatchPanicLayer::custom(
            |_: Box<dyn std::any::Any + Send + 'static>| {
                // A panic's text may hold anything. The hook has written it where panics go.
                ApiError::internal().into_response()
            },
        ))
        .layer(middleware::from_fn_with_state(limits.deadline, in_time))
        .layer(headers::cors(&state.cors_origins))
        .layer(middleware::from_fn_with_state(state, around))
        .layer(CompressionLayer::new())
}

async fn in_time(State(deadline): State<Duration>, request: Request, next: Next) -> Response {
    let answered = tokio::time::timeout(deadline, next.run(request)).await;
    answered.unwrap_or_else(|_| too_late().into_response())
}

async fn around(State(state): State<Base>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let (mut parts, body) = request.into_parts();
    let context = context(&state, &parts);
    let mut span = traced::begun(&parts.headers, &context);
    parts.extensions.insert(context.clone());
    let handling = next.run(Request::from_parts(parts, body));
    let response = trace::within(span.context(), context.clone().around(handling)).await;
    traced::answered(&mut span, &response);
    log::answered(&response, &context, begun.elapsed());
    let mut response = envelope::write(response, &context, state.clock.now().into());
    headers::secure(&mut response);
    // The router takes the body of an answer to HEAD off, after its length was told.
    response
}

fn context(state: &Base, parts: &Parts) -> RequestContext {
    let id = request_id::of(&parts.headers, state.clock.now());
    let route = parts.extensions.get::<MatchedPath>();
    let route = route.map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let source = source_address(parts, state.trusted_proxies);
    let docs = DocsAt::of(state.public_url.as_deref(), parts);
    RequestContext::new(id, parts.method.clone(), route, source, docs)
}

fn too_late() -> ApiError {
    ApiError::new(
        Code::UpstreamTimeout,
        "The request took too long; it may or may not have taken effect",
    )
    .with_details(json!({"outcome": "unknown"}))
}

async fn unknown_route(uri: Uri) -> ApiError {
    no_route(&uri)
}

/// There is nothing at this path.
pub(super) fn no_route(uri: &Uri) -> ApiError {
    ApiError::new(Code::NotFound, format!("There is no route {}", uri.path()))
}
