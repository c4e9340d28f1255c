//! The list of this function's endpoints. Each is declared in its own file, whose path mirrors the endpoint's.

use super::{admin, audit_logs, instances, pair, subscription, subscriptions, users};
use crate::endpoint::Endpoint;
use crate::management::ManagementState;

/// Every endpoint of this function.
pub fn endpoints() -> Vec<Endpoint<ManagementState>> {
    let mut endpoints = vec![
        admin::overview::endpoint(),
        admin::workers::endpoint(),
        audit_logs::endpoint(),
        instances::create::endpoint(),
        instances::list::endpoint(),
        instances::show::endpoint(),
        instances::update::endpoint(),
        instances::delete::endpoint(),
        instances::status::endpoint(),
        instances::qr::endpoint(),
        instances::pairing_code::endpoint(),
        instances::pairing_link::endpoint(),
        instances::passkey::show::endpoint(),
        instances::passkey::answer::endpoint(),
        instances::passkey::confirm::endpoint(),
        instances::connect::endpoint(),
        instances::disconnect::endpoint(),
        instances::logout::endpoint(),
        instances::restart::endpoint(),
        instances::stats::endpoint(),
        instances::messages::endpoint(),
        instances::keys::create::endpoint(),
        instances::keys::list::endpoint(),
        instances::keys::update::endpoint(),
        instances::keys::revoke::endpoint(),
        instances::keys::rotate::endpoint(),
        subscription::show::endpoint(),
        subscription::usage::endpoint(),
        subscription::members::invite::endpoint(),
        subscription::members::list::endpoint(),
        subscription::members::remove::endpoint(),
        subscriptions::list::endpoint(),
        subscriptions::show::endpoint(),
        subscriptions::update::endpoint(),
        users::create::endpoint(),
        users::list::endpoint(),
        users::show::endpoint(),
        users::update::endpoint(),
        users::delete::endpoint(),
        pair::page::endpoint(),
        pair::page::script_endpoint(),
        pair::page::style_endpoint(),
        pair::state::endpoint(),
        pair::connect::endpoint(),
        pair::code::endpoint(),
        pair::passkey::answer::endpoint(),
        pair::passkey::confirm::endpoint(),
    ];
    endpoints.extend(instances::webhook::endpoints());
    endpoints
}
