mod admin;
mod audit_logs;
pub mod instances;
pub mod people;
mod subscription;
mod subscriptions;
mod users;
