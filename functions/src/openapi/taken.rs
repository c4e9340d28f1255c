//! What each route takes, as its operation tells: what the intake of requests goes by.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use futures::future::BoxFuture;
use utoipa::openapi::RefOr;
use utoipa::openapi::path::ParameterIn;
use utoipa::openapi::schema::Schema;

use super::example::Schemas;
use super::operation::Operation;
use crate::http::ApiError;
use crate::state::AppState;

/// Asks whether a caller may call a route, and counts its request.
pub type Gate = for<'a> fn(&'a mut Parts, &'a AppState) -> BoxFuture<'a, Result<(), ApiError>>;

/// The gate that an extractor of callers is.
pub(super) fn gate<E>() -> Gate
where
    E: FromRequestParts<AppState, Rejection = ApiError> + Send,
{
    |parts, state| Box::pin(async move { E::from_request_parts(parts, state).await.map(|_| ()) })
}

/// What a route takes.
pub struct Taken {
    /// The parameters of its query, by name.
    pub query: BTreeMap<String, RefOr<Schema>>,
    /// Whether it takes a body.
    pub has_body: bool,
    /// Whether it works with the stores.
    pub needs_stores: bool,
    /// Who may call it, where not everybody.
    pub gate: Option<Gate>,
    /// Whether a text may name what the path is about.
    names: Option<fn(&str) -> bool>,
}

struct Routes {
    by_path: HashMap<&'static str, Vec<(Method, Taken)>>,
    /// The schemas that those of parameters refer to.
    parts: Schemas,
}

static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let mut routes = Routes {
        by_path: HashMap::new(),
        parts: Schemas::new(),
    };
    for operation in super::operations() {
        let (method, path) = (operation.method.clone(), operation.path);
        let taken = Taken::of(&operation);
        routes.by_path.entry(path).or_default().push((method, taken));
        routes.parts.extend(operation.schemas);
    }
    routes
});

/// What the route of this method and pattern takes; nothing where the document does not know it.
pub fn taken(method: &Method, path: &str) -> Option<&'static Taken> {
    let method = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let methods = ROUTES.by_path.get(path)?;
    let (_, taken) = methods.iter().find(|(of, _)| of == method)?;
    Some(taken)
}

/// Whether a text in the path of this pattern may name something, for one of its methods at least.
pub fn may_name(path: &str, text: &str) -> bool {
    let methods = ROUTES.by_path.get(path).into_iter().flatten();
    let mut asked = methods.filter_map(|(_, taken)| taken.names).peekable();
    asked.peek().is_none() || asked.any(|names| names(text))
}

/// The schemas that those of parameters refer to, by name.
pub fn parts() -> &'static Schemas {
    &ROUTES.parts
}

impl Taken {
    fn of(operation: &Operation) -> Self {
        let parameters = operation.parameters.iter();
        let query = parameters
            .filter(|parameter| parameter.parameter_in == ParameterIn::Query)
            .filter_map(|parameter| Some((parameter.name.clone(), parameter.schema.clone()?)));
        Self {
            query: query.collect(),
            has_body: operation.body.is_some(),
            needs_stores: operation.needs_stores,
            gate: operation.gate,
            names: operation.names,
        }
    }
}
