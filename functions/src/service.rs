//! The top floor: here the functions' lists of endpoints become routers and the OpenAPI document. Nothing below knows of it.

mod intake;
mod shell;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{MatchedPath, RawPathParams};
use axum::http::Uri;
use axum::middleware;
use shared::config::Function;
use utoipa::openapi::OpenApi;

use self::intake::{Intake, intake};
use self::shell::no_route;
pub use self::shell::{Limits, shell};
use crate::endpoint::{self, Endpoint, TakenByRoute};
use crate::http::{ApiError, Code};
use crate::openapi::{self, Operation};
use crate::state::AppState;
use crate::{auth, docs, management, messaging, probes};

/// The endpoints of a function of the deployment.
fn endpoints(function: Function) -> Vec<Endpoint> {
    let mut endpoints = match function {
        Function::Auth => auth::endpoints(),
        Function::Management => {
            let mut endpoints = management::endpoints();
            endpoints.extend(docs::endpoints());
            endpoints
        }
        Function::Messaging => messaging::endpoints(),
    };
    endpoints.extend(probes::endpoints());
    endpoints
}

/// Every endpoint of every function, once.
fn every_endpoint() -> Vec<Endpoint> {
    let mut endpoints = auth::endpoints();
    endpoints.extend(management::endpoints());
    endpoints.extend(messaging::endpoints());
    endpoints.extend(probes::endpoints());
    endpoints.extend(docs::endpoints());
    endpoints
}

/// The router of a function of the deployment.
pub fn router(function: Function, state: AppState) -> Router {
    within(endpoints(function), state, Limits::default())
}

/// All routes, for a process that serves them by itself.
pub fn all(state: AppState) -> Router {
    all_within(state, Limits::default())
}

/// The same with other limits than usual.
pub fn all_within(state: AppState, limits: Limits) -> Router {
    within(every_endpoint(), state, limits)
}

/// What the document tells of each endpoint of a function.
pub fn operations(function: Function) -> Vec<Operation> {
    told(endpoints(function))
}

/// What the document tells of each endpoint of every function.
pub fn every_operation() -> Vec<Operation> {
    told(every_endpoint())
}

/// The document of every endpoint.
pub fn document() -> OpenApi {
    openapi::document(every_operation())
}

/// The same as JSON. It is put together when it is first asked for, once in a process.
pub fn document_json() -> &'static str {
    static JSON: LazyLock<String> = LazyLock::new(|| {
        let document = document().to_json();
        document.unwrap_or_else(|error| unreachable!("a document of texts and numbers is JSON: {error}"))
    });
    &JSON
}

fn told(endpoints: Vec<Endpoint>) -> Vec<Operation> {
    endpoints.into_iter().map(Endpoint::into_operation).collect()
}

fn within(endpoints: Vec<Endpoint>, state: AppState, limits: Limits) -> Router {
    let (routes, taken) = endpoint::routes(endpoints);
    let taken = Arc::new(taken);
    let takes_in = Intake {
        state: state.clone(),
        taken: Arc::clone(&taken),
        times: limits.body,
    };
    let routes = routes
        .route_layer(middleware::from_fn_with_state(takes_in, intake))
        .method_not_allowed_fallback(
            async move |uri: Uri,
                        route: Option<MatchedPath>,
                        names: Result<RawPathParams, RawPathParamsRejection>| {
                wrong_method(&taken, &uri, route, names)
            },
        )
        .with_state(state.clone());
    shell(routes, state, limits)
}

/// A method that a path does not have. If the path's last part names nothing, there is no such route, whatever the
/// method: a caller who sends an unknown kind of message does not mean `POST /api/messages/{message}`.
fn wrong_method<S>(
    taken: &TakenByRoute<S>,
    uri: &Uri,
    route: Option<MatchedPath>,
    names: Result<RawPathParams, RawPathParamsRejection>,
) -> ApiError {
    if let (Some(route), Ok(names)) = (route, names)
        && names
            .iter()
            .any(|(_, name)| !taken.may_name(route.as_str(), name))
    {
        return no_route(uri);
    }
    ApiError::new(
        Code::MethodNotAllowed,
        "The route does not have this method; `Allow` lists those it has",
    )
}
