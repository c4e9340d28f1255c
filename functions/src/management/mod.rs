//! What a user manages: instances and their keys, who belongs to a subscription; and what
//! administrators do.

mod admin;
mod audit_logs;
mod endpoints;
mod instances;
mod pair;
pub(crate) mod people;
mod state;
mod subscription;
mod subscriptions;
mod users;

pub use endpoints::endpoints;
pub(crate) use instances::InstanceView;
pub use state::ManagementState;
