//! One endpoint as one value: its method, its path, its handler, and what the document tells of it. Each endpoint's file
//! declares it once; routers, the OpenAPI document, the intake of requests and the tables of tests all derive from the
//! functions' lists of these values ([`crate::service`]).

mod arguments;
mod taken;

use std::borrow::Cow;

use axum::Router;
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::ToSchema;

pub use arguments::{Answers, Argument, Described};
pub(crate) use taken::gate;
pub use taken::{Gate, Taken, TakenByRoute};

use crate::http::Code;
use crate::openapi::{Operation, Tag};

/// An endpoint of the function whose state is `S`.
pub struct Endpoint<S> {
    operation: Operation,
    gate: Option<Gate<S>>,
    route: MethodRouter<S>,
}

impl<S: Clone + Send + Sync + 'static> Endpoint<S> {
    /// The endpoint that `handler` serves. `id` is its name in clients that are generated. Who may call it, what it takes and
    /// what it answers is read off the handler's type.
    pub fn new<A, T, H>(method: Method, path: &'static str, id: &'static str, handler: H) -> Self
    where
        H: Described<A, S> + Handler<T, S>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone())
            .unwrap_or_else(|_| unreachable!("{path} has a method of its own making"));
        let mut operation = Operation::new(method, path, id);
        H::describe(&mut operation);
        Self {
            operation,
            gate: H::gate(),
            route: on(filter, handler),
        }
    }

    /// The group that it is shown in, and what it does, in a few words.
    #[must_use]
    pub fn about(self, tag: Tag, summary: &'static str) -> Self {
        self.told(|operation| operation.about(tag, summary))
    }

    /// More about it, in Markdown.
    #[must_use]
    pub fn details(self, text: impl Into<Cow<'static, str>>) -> Self {
        self.told(|operation| operation.details(text))
    }

    /// The status of its success, where that is not 200.
    #[must_use]
    pub fn status(self, status: StatusCode) -> Self {
        self.told(|operation| operation.status(status))
    }

    /// Errors that the handler answers by itself, besides those of its arguments.
    #[must_use]
    pub fn errors(self, codes: &[Code]) -> Self {
        self.told(|operation| operation.errors(codes))
    }

    /// What the envelope carries, where the handler's type does not say it.
    #[must_use]
    pub fn answers<T: ToSchema>(self) -> Self {
        self.told(Operation::answers::<T>)
    }

    /// A media type that it answers without the envelope.
    #[must_use]
    pub fn answers_plain(self, media_type: &'static str) -> Self {
        self.told(|operation| operation.answers_plain(media_type))
    }

    fn told(self, tell: impl FnOnce(Operation) -> Operation) -> Self {
        Self {
            operation: tell(self.operation),
            ..self
        }
    }

    /// What the document tells of it.
    pub fn into_operation(self) -> Operation {
        self.operation
    }
}

/// The routes of these endpoints, and what each of them takes.
pub fn routes<S: Clone + Send + Sync + 'static>(endpoints: Vec<Endpoint<S>>) -> (Router<S>, TakenByRoute<S>) {
    let mut router = Router::new();
    let mut taken = TakenByRoute::default();
    for endpoint in endpoints {
        router = router.route(endpoint.operation.path(), endpoint.route);
        taken.add(endpoint.operation, endpoint.gate);
    }
    (router, taken)
}
