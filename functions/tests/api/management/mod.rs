mod admin;
mod audit_logs;
mod instances;
mod pair;
pub mod people;
mod subscription;
mod subscriptions;
mod users;
