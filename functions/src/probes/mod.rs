//! What every function answers about itself: that it runs, whether it can do its work, and which version it is.

mod health;
mod ready;
mod version;

use crate::endpoint::Endpoint;

/// The endpoints of every function.
pub fn endpoints() -> Vec<Endpoint> {
    vec![health::endpoint(), ready::endpoint(), version::endpoint()]
}
