//! The list of this function's endpoints. Each is declared in its own file, whose path mirrors the endpoint's.

use super::{chats, contacts, groups, instance, media, messages, stats, webhook};
use crate::endpoint::Endpoint;
use crate::messaging::MessagingState;

/// Every endpoint of this function.
pub fn endpoints() -> Vec<Endpoint<MessagingState>> {
    let mut endpoints = messages::kinds::endpoints();
    endpoints.extend(contacts::endpoints());
    endpoints.extend(chats::endpoints());
    endpoints.extend(vec![
        messages::bulk::endpoint(),
        messages::list::endpoint(),
        messages::show::endpoint(),
        messages::timeline::endpoint(),
        messages::update::endpoint(),
        messages::delete::endpoint(),
        messages::reaction::endpoint(),
        instance::info::endpoint(),
        stats::endpoint(),
    ]);
    endpoints.extend([
        media::create::endpoint(),
        media::show::endpoint(),
        media::delete::endpoint(),
    ]);
    endpoints.extend(groups::endpoints());
    endpoints.extend(webhook::endpoints());
    endpoints
}
