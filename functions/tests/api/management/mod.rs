mod instances;
pub mod people;
mod subscription;
mod subscriptions;
mod users;
