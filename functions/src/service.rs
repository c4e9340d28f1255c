//! The top floor: here the functions' lists of endpoints become routers and the OpenAPI document. Nothing below knows of it.

mod intake;
mod shell;

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRef, MatchedPath, RawPathParams};
use axum::http::Uri;
use axum::middleware;
use shared::auth::jwt::Jwts;
use shared::bucket::Bucket;
use shared::clock::Clock;
use shared::config::{self, Function};
use shared::mail::Mailer;
use shared::queue::{Queue, QueueError};
use shared::seal::Sealer;
use shared::storage::Table;

pub use self::intake::require_setup;
use self::intake::{Intake, intake};
use self::shell::no_route;
pub use self::shell::{Limits, shell};
use crate::auth::{self, AuthState};
use crate::docs;
use crate::endpoint::{self, Endpoint, TakenByRoute};
use crate::http::{ApiError, Code};
use crate::management::{self, ManagementState};
use crate::messaging::{self, MessagingState};
use crate::openapi::{self, Operation};
use crate::probes;
use crate::state::{Base, Users};

/// The states of a process that has all functions.
#[derive(Debug, Clone)]
pub struct States {
    /// What every function has.
    pub base: Base,
    /// The state of `auth`.
    pub auth: AuthState,
    /// The state of `management`.
    pub management: ManagementState,
    /// The state of `messaging`.
    pub messaging: MessagingState,
}

impl States {
    /// Fails where the queue prefix makes no queue name.
    pub fn new(
        config: &config::Functions,
        table: Table,
        queue: Arc<dyn Queue>,
        sealer: Arc<Sealer>,
        bucket: Bucket,
        mailer: Arc<dyn Mailer>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, QueueError> {
        let base = Base::new(&config.base, table, queue, clock)?;
        let jwts = Jwts::new(&config.jwt_secrets, config.auth.jwt_lifetime);
        let users = Users::new(base.clone(), &config.users, mailer, jwts);
        Ok(Self {
            auth: AuthState::new(users.clone(), &config.auth),
            management: ManagementState::new(users, Arc::clone(&sealer), &config.management),
            messaging: MessagingState::new(base.clone(), sealer, bucket, &config.messaging),
            base,
        })
    }
}

/// The router of the function `auth`.
pub fn auth(state: AuthState) -> Router {
    of_function(auth_endpoints(), state)
}

/// The router of the function `management`, which serves the documentation too.
pub fn management(state: ManagementState) -> Router {
    of_function(
        management_endpoints(document_of(state.public_url.as_deref())),
        state,
    )
}

/// The router of the function `messaging`.
pub fn messaging(state: MessagingState) -> Router {
    of_function(messaging_endpoints(), state)
}

/// All routes, for a process that serves them by itself.
pub fn all(states: States) -> Router {
    all_within(states, Limits::default())
}

/// The same with other limits than usual.
pub fn all_within(states: States, limits: Limits) -> Router {
    let mut of_all = probes::endpoints();
    of_all.extend(docs::endpoints(document_of(states.base.public_url.as_deref())));
    let routes = routes(auth::endpoints(), states.auth, limits)
        .merge(routes(management::endpoints(), states.management, limits))
        .merge(routes(messaging::endpoints(), states.messaging, limits))
        .merge(routes(of_all, states.base.clone(), limits));
    shell(routes, states.base, limits)
}

/// What the document tells of each endpoint of a function.
pub fn operations(function: Function) -> Vec<Operation> {
    match function {
        Function::Auth => told(auth_endpoints()),
        Function::Management => told(management_endpoints(document_of(None))),
        Function::Messaging => told(messaging_endpoints()),
    }
}

/// What the document tells of each endpoint of every function, once.
pub fn every_operation() -> Vec<Operation> {
    let mut all = told(auth::endpoints());
    all.extend(told(management::endpoints()));
    all.extend(told(messaging::endpoints()));
    all.extend(told(probes::endpoints::<Base>()));
    all.extend(told(docs::endpoints::<Base>(document_of(None))));
    all
}

fn auth_endpoints() -> Vec<Endpoint<AuthState>> {
    with_those_of_all(auth::endpoints())
}

fn management_endpoints(document: docs::Document) -> Vec<Endpoint<ManagementState>> {
    let mut endpoints = with_those_of_all(management::endpoints());
    endpoints.extend(docs::endpoints(document));
    endpoints
}

fn messaging_endpoints() -> Vec<Endpoint<MessagingState>> {
    with_those_of_all(messaging::endpoints())
}

fn with_those_of_all<S: Clone + Send + Sync + 'static>(mut endpoints: Vec<Endpoint<S>>) -> Vec<Endpoint<S>>
where
    Base: FromRef<S>,
{
    endpoints.extend(probes::endpoints());
    endpoints
}

/// The document of every endpoint, in the deployment that callers reach at `public_url`.
pub fn document(public_url: &str) -> openapi::Document {
    openapi::document(every_operation(), public_url)
}

/// The same as it is served.
fn document_of(public_url: Option<&str>) -> docs::Document {
    let public_url = public_url.unwrap_or(openapi::WHOEVER_SERVES_IT).to_owned();
    docs::Document::new(move || {
        let json = document(&public_url).to_json();
        json.unwrap_or_else(|error| unreachable!("a document of texts and numbers is JSON: {error}"))
    })
}

fn told<S: Clone + Send + Sync + 'static>(endpoints: Vec<Endpoint<S>>) -> Vec<Operation> {
    endpoints.into_iter().map(Endpoint::into_operation).collect()
}

fn of_function<S: Clone + Send + Sync + 'static>(endpoints: Vec<Endpoint<S>>, state: S) -> Router
where
    Base: FromRef<S>,
{
    let (base, limits) = (Base::from_ref(&state), Limits::default());
    shell(routes(endpoints, state, limits), base, limits)
}

/// The routes of these endpoints, each behind the intake.
fn routes<S: Clone + Send + Sync + 'static>(endpoints: Vec<Endpoint<S>>, state: S, limits: Limits) -> Router
where
    Base: FromRef<S>,
{
    let (routes, taken) = endpoint::routes(endpoints);
    let taken = Arc::new(taken);
    let takes_in = Intake {
        state: state.clone(),
        taken: Arc::clone(&taken),
        times: limits.body,
    };
    let refuse = async move |uri: Uri, route: Option<MatchedPath>, names: Names| {
        wrong_method(&taken, &uri, route, names)
    };
    routes
        .route_layer(middleware::from_fn_with_state(takes_in, intake))
        .method_not_allowed_fallback(refuse)
        .with_state(state)
}

/// The values of a path's parameters.
type Names = Result<RawPathParams, RawPathParamsRejection>;

/// A method that a path does not have. If the path's last part names nothing, there is no such route, whatever the
/// method: a caller who sends an unknown kind of message does not mean `POST /api/messages/{message}`.
fn wrong_method<S>(taken: &TakenByRoute<S>, uri: &Uri, route: Option<MatchedPath>, names: Names) -> ApiError {
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
