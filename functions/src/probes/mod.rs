//! What every function answers about itself: that it runs, whether it can do its work, and which version it is.

mod health;
mod ready;
mod version;

use axum::extract::FromRef;

use crate::endpoint::Endpoint;
use crate::state::Base;

/// The endpoints of every function.
pub fn endpoints<S: Clone + Send + Sync + 'static>() -> Vec<Endpoint<S>>
where
    Base: FromRef<S>,
{
    vec![health::endpoint(), ready::endpoint(), version::endpoint()]
}
