mod admin;
mod audit_logs;
mod instances;
pub mod people;
mod subscription;
mod subscriptions;
mod users;
