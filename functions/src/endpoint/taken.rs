//! What each route takes, as its endpoint tells: what the intake of requests goes by.

use std::collections::{BTreeMap, HashMap};

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use futures::future::BoxFuture;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::Schema;

use crate::http::ApiError;
use crate::openapi::{Operation, Schemas};

/// Asks whether a caller may call a route, and counts its request.
pub type Gate<S> = for<'a> fn(&'a mut Parts, &'a S) -> BoxFuture<'a, Result<(), ApiError>>;

/// An extractor of callers as a gate.
pub(crate) fn gate<E, S>() -> Gate<S>
where
    E: FromRequestParts<S, Rejection = ApiError> + Send,
    S: Send + Sync,
{
    |parts, state| Box::pin(async move { E::from_request_parts(parts, state).await.map(|_| ()) })
}

/// What a route takes.
pub struct Taken<S> {
    /// The parameters of its query, by name.
    pub query: BTreeMap<String, RefOr<Schema>>,
    /// Whether it takes a body.
    pub has_body: bool,
    /// Whether it works with the stores.
    pub needs_stores: bool,
    /// Who may call it, if not everybody may.
    pub gate: Option<Gate<S>>,
    /// Whether a text may name what the path is about.
    names: Option<fn(&str) -> bool>,
}

/// What each route of a router takes.
pub struct TakenByRoute<S> {
    by_path: HashMap<&'static str, Vec<(Method, Taken<S>)>>,
    parts: Schemas,
}

impl<S> Default for TakenByRoute<S> {
    fn default() -> Self {
        Self {
            by_path: HashMap::new(),
            parts: Schemas::new(),
        }
    }
}

impl<S> TakenByRoute<S> {
    pub(super) fn add(&mut self, operation: Operation, gate: Option<Gate<S>>) {
        let (method, path) = (operation.method().clone(), operation.path());
        let taken = Taken::of(&operation, gate);
        self.by_path.entry(path).or_default().push((method, taken));
        self.parts.extend(operation.into_schemas());
    }

    /// What the route of this method and pattern takes; `None` where there is no such route.
    pub fn of(&self, method: &Method, path: &str) -> Option<&Taken<S>> {
        let method = if method == Method::HEAD {
            &Method::GET
        } else {
            method
        };
        let methods = self.by_path.get(path)?;
        let (_, taken) = methods.iter().find(|(of, _)| of == method)?;
        Some(taken)
    }

    /// Whether a text in the path of this pattern may name something, for one of its methods at least.
    pub fn may_name(&self, path: &str, text: &str) -> bool {
        let methods = self.by_path.get(path).into_iter().flatten();
        let mut asked = methods.filter_map(|(_, taken)| taken.names).peekable();
        asked.peek().is_none() || asked.any(|names| names(text))
    }

    /// The schemas that the parameters' schemas refer to, by name.
    pub fn parts(&self) -> &Schemas {
        &self.parts
    }
}

impl<S> Taken<S> {
    fn of(operation: &Operation, gate: Option<Gate<S>>) -> Self {
        let parameters = operation.parameters.iter();
        let query = parameters
            .filter(|parameter| parameter.parameter_in == ParameterIn::Query)
            .filter_map(|parameter| Some((parameter.name.clone(), parameter.schema.clone()?)));
        Self {
            query: query.collect(),
            has_body: operation.body.is_some(),
            needs_stores: operation.needs_stores,
            gate,
            names: operation.names,
        }
    }
}
