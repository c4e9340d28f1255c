//! The list of this function's endpoints. Each is declared in its own file, whose path mirrors the endpoint's.

use super::{instance, messages, stats};
use crate::endpoint::Endpoint;
use crate::messaging::MessagingState;

/// Every endpoint of this function.
pub fn endpoints() -> Vec<Endpoint<MessagingState>> {
    let mut endpoints = messages::kinds::endpoints();
    endpoints.extend([
        messages::show::endpoint(),
        instance::info::endpoint(),
        stats::endpoint(),
    ]);
    endpoints
}
