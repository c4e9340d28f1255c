//! What the envelope says of a request besides its answer, gathered while it is handled.

use std::sync::{Arc, OnceLock};

use axum::http::Extensions;
use shared::domain::instance::InstanceName;
use shared::storage::rates::Rate;

/// A request's own facts. One is in every request's extensions.
#[derive(Debug, Clone)]
pub struct RequestContext(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    id: String,
    instance_name: OnceLock<InstanceName>,
    rate: OnceLock<Rate>,
}

impl RequestContext {
    /// The context of the request with this id.
    pub fn new(id: String) -> Self {
        Self(Arc::new(Facts {
            id,
            instance_name: OnceLock::new(),
            rate: OnceLock::new(),
        }))
    }

    /// The request's id.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// The instance that the caller's API key is for, once the key is known.
    pub fn instance_name(&self) -> Option<&InstanceName> {
        self.0.instance_name.get()
    }

    /// Notes the instance that the caller's API key is for: from here on the answer,
    /// whatever it is, names it.
    pub fn note_instance(extensions: &Extensions, name: &InstanceName) {
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
            // The first limit that counts a request is the one its headers tell.
            let _ = context.0.rate.set(rate);
        }
    }
}
