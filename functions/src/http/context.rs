//! The context of a request: what the envelope and the log tell besides its answer, gathered while it is handled.
//!
//! It is in the request's extensions, for extractors. It is also around the task that handles the request, for the
//! log's lines and notes from deep below a handler.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::http::{Extensions, Method};
use shared::domain::audit::Actor;
use shared::domain::instance::InstanceName;
use shared::ids::{InstanceId, SubscriptionId};
use shared::storage::rates::Rate;

use super::docs_at::DocsAt;

tokio::task_local! {
    static CURRENT: RequestContext;
}

/// A request's own facts. One is in every request's extensions.
#[derive(Debug, Clone)]
pub struct RequestContext(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    id: String,
    method: Method,
    route: String,
    source: Option<IpAddr>,
    docs: DocsAt,
    caller: OnceLock<(SubscriptionId, Actor)>,
    instance: OnceLock<InstanceId>,
    instance_name: OnceLock<InstanceName>,
    rate: OnceLock<Rate>,
}

impl RequestContext {
    /// The context of a request: its id, method, route and source, and where its errors are explained. The route is its
    /// pattern and not the path, which may hold a phone number.
    pub fn new(id: String, method: Method, route: String, source: Option<IpAddr>, docs: DocsAt) -> Self {
        Self(Arc::new(Facts {
            id,
            method,
            route,
            source,
            docs,
            caller: OnceLock::new(),
            instance: OnceLock::new(),
            instance_name: OnceLock::new(),
            rate: OnceLock::new(),
        }))
    }

    /// Handles a request with this context around it.
    pub async fn around<T>(self, handling: impl Future<Output = T>) -> T {
        CURRENT.scope(self, handling).await
    }

    /// The context of the request that this task handles, if it handles one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// The request's id.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Its method.
    pub fn method(&self) -> &str {
        self.0.method.as_str()
    }

    /// Its route's pattern; `none` where there is no such route.
    pub fn route(&self) -> &str {
        &self.0.route
    }

    /// Where its errors are explained.
    pub fn docs(&self) -> &DocsAt {
        &self.0.docs
    }

    /// Where it comes from.
    pub fn source(&self) -> Option<IpAddr> {
        self.0.source
    }

    /// The caller's subscription, once the caller is known.
    pub fn subscription(&self) -> Option<SubscriptionId> {
        self.0.caller.get().map(|(subscription, _)| *subscription)
    }

    /// The caller, once it is known.
    pub fn caller(&self) -> Option<Actor> {
        self.0.caller.get().map(|(_, caller)| *caller)
    }

    /// The instance that the request is about, once it is known.
    pub fn instance(&self) -> Option<InstanceId> {
        self.0.instance.get().copied()
    }

    /// The instance that the caller's API key is for, once the key is known.
    pub fn instance_name(&self) -> Option<&InstanceName> {
        self.0.instance_name.get()
    }

    /// Notes who calls, for the log.
    pub fn note_caller(subscription: SubscriptionId, caller: Actor) {
        // The first caller that is noted counts.
        let _ = CURRENT.try_with(|context| context.0.caller.set((subscription, caller)));
    }

    /// Notes the instance that the request is about, for the log.
    pub fn note_instance(instance: InstanceId) {
        let _ = CURRENT.try_with(|context| context.0.instance.set(instance));
    }

    /// Notes the name of the instance that the caller's API key is for. From here on any answer names it.
    pub fn note_instance_name(extensions: &Extensions, name: &InstanceName) {
        if let Some(context) = extensions.get::<Self>() {
            // A request has one key, so a second note says the same.
            let _ = context.0.instance_name.set(name.clone());
        }
    }

    /// Where the caller stands with its rate limit, once its request is counted.
    pub fn rate(&self) -> Option<Rate> {
        self.0.rate.get().copied()
    }

    /// Notes where the caller stands with its rate limit, for the answer's headers.
    pub fn note_rate(extensions: &Extensions, rate: Rate) {
        if let Some(context) = extensions.get::<Self>() {
            // The headers tell the first limit that counts a request.
            let _ = context.0.rate.set(rate);
        }
    }
}
