//! What a user manages: instances and their keys, who belongs to a subscription; and what
//! administrators do.

mod admin;
mod audit_logs;
mod endpoints;
mod instances;
pub(crate) mod people;
mod subscription;
mod subscriptions;
mod users;

pub(crate) use admin::overview::Response as Overview;
pub use endpoints::endpoints;
pub(crate) use instances::InstanceView;
