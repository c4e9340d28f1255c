//! Compares a request with what its route takes, before the handler is called: unknown parameters, a body where none
//! is taken, a body that is too large or encoded. No handler has to think of these, and none can forget them.
//!
//! What a route takes is what its endpoint tells ([`crate::endpoint`]). A caller who may not use the route
//! learns that first: a faulty request goes through the route's own gate before it is refused. The gate counts it as
//! well.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRef, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::endpoint::{Taken, TakenByRoute};
use crate::http::body::{self, BodyTimes};
use crate::http::{ApiError, Code, Fields, json, log};
use crate::openapi::Schemas;
use crate::state::Base;
use crate::state::setup::DOUBTED_SECONDS;

/// What the layer works with.
pub(super) struct Intake<S> {
    pub state: S,
    pub taken: Arc<TakenByRoute<S>>,
    pub times: BodyTimes,
}

impl<S: Clone> Clone for Intake<S> {
    fn clone(&self) -> Self {
        Self {
            state: self.state.clone(),
            taken: Arc::clone(&self.taken),
            times: self.times,
        }
    }
}

/// Lets a request through to its handler where it carries nothing that the route does not take.
pub(super) async fn intake<S>(State(intake): State<Intake<S>>, request: Request, next: Next) -> Response
where
    Base: FromRef<S>,
{
    match admit(&intake, request).await {
        Ok(request) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn admit<S>(intake: &Intake<S>, request: Request) -> Result<Request, ApiError>
where
    Base: FromRef<S>,
{
    let (mut parts, mut body) = request.into_parts();
    parts.extensions.insert(intake.times);
    let route = parts.extensions.get::<MatchedPath>();
    let taken = route.and_then(|route| intake.taken.of(&parts.method, route.as_str()));
    if taken.is_some_and(|taken| taken.needs_stores) {
        require_setup(&Base::from_ref(&intake.state)).await?;
    }
    let Some(fault) = fault(&parts, &mut body, taken, intake).await else {
        return Ok(Request::from_parts(parts, body));
    };
    if let Some(gate) = taken.and_then(|taken| taken.gate) {
        gate(&mut parts, &intake.state).await?;
    }
    Err(fault)
}

/// Lets a request go on if the table and the configuration agree. If the table does not answer it goes on as well,
/// and finds out by itself what it needs of the table.
///
/// # Errors
/// `UNAVAILABLE` where they do not agree.
pub async fn require_setup(state: &Base) -> Result<(), ApiError> {
    let agrees = state
        .setup
        .agrees(&state.table, state.shards, state.clock.now())
        .await;
    match agrees {
        Ok(said) => said.map_err(|mismatch| ApiError::unavailable(DOUBTED_SECONDS).caused_by(mismatch)),
        Err(error) => {
            log::went_wrong(&error.into(), "the table's configuration could not be read");
            Ok(())
        }
    }
}

/// What is wrong with a request, whoever sends it.
async fn fault<S>(
    parts: &Parts,
    body: &mut Body,
    taken: Option<&Taken<S>>,
    intake: &Intake<S>,
) -> Option<ApiError> {
    if let Err(fault) = host(parts) {
        return Some(fault);
    }
    let mut fields = Fields::default();
    query(&parts.uri, taken, intake.taken.parts(), &mut fields);
    if !taken.is_some_and(|taken| taken.has_body) && !body::is_empty(body, intake.times).await {
        fields.fault("body", "must be empty: this route takes none");
    }
    if let Err(fault) = fields.finish() {
        return Some(fault);
    }
    if !is_plain(&parts.headers) {
        return Some(ApiError::new(
            Code::UnsupportedMediaType,
            "The body must come as it is: `Content-Encoding` is not taken",
        ));
    }
    body::too_large(&parts.headers, body)
}

/// Checks that a request over a socket of our own names its host once (RFC 9112, 3.2). API Gateway sees to that
/// itself.
fn host(parts: &Parts) -> Result<(), ApiError> {
    if parts.version != Version::HTTP_11 || parts.extensions.get::<ConnectInfo<SocketAddr>>().is_none() {
        return Ok(());
    }
    let mut values = parts.headers.get_all(header::HOST).iter();
    let is_named = values
        .next()
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.parse::<Authority>().is_ok());
    if is_named && values.next().is_none() {
        Ok(())
    } else {
        Err(ApiError::field("Host", "must be there once, and name a host"))
    }
}

/// Notes parameters that the route does not know or that are there twice. If there are any, invalid values of the
/// others are noted as well.
fn query<S>(uri: &Uri, taken: Option<&Taken<S>>, schemas: &Schemas, fields: &mut Fields) {
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
    let Ok(axum::extract::Query(pairs)) = pairs else {
        fields.fault("query", "is not well-formed");
        return;
    };
    let schema = |name: &str| taken.and_then(|taken| taken.query.get(name));
    let is_known = |name: &str| schema(name).is_some();
    for (index, (name, _)) in pairs.iter().enumerate() {
        let before = pairs[..index].iter().filter(|(other, _)| other == name).count();
        // Each is named once, however often it comes.
        if !is_known(name) && before == 0 {
            fields.fault(name, "is unknown");
        } else if is_known(name) && before == 1 {
            fields.fault(name, "is there twice");
        }
    }
    if fields.is_empty() {
        return;
    }
    for (name, text) in &pairs {
        let fault = schema(name).and_then(|schema| json::parameter(schema, text, schemas));
        if let Some(fault) = fault {
            fields.fault(name, fault);
        }
    }
}

fn is_plain(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    values.all(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}
