mod admin;
mod audit_logs;
pub mod instances;
mod pair;
pub mod people;
mod subscription;
mod subscriptions;
mod users;
