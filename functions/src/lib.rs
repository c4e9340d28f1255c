//! Waxwing's HTTP API: stateless handlers, one router per function of the deployment. Beside it, what sends events to webhooks.
//!
//! An endpoint is declared in the file whose path mirrors its URL, as one [`endpoint::Endpoint`]; each function's
//! `endpoints.rs` lists its own. [`service`] makes routers and the OpenAPI document of these lists. What endpoints share is in
//! [`http`] and [`state`].

mod aftermath;
pub mod auth;
mod connection;
mod docs;
pub mod endpoint;
mod fleet;
pub mod http;
pub mod lambda;
pub mod management;
mod message_log;
pub mod messaging;
mod news;
mod nudge;
pub mod openapi;
mod probes;
pub mod service;
pub mod state;
mod statistics;
pub mod webhook_delivery;
mod webhook_routes;
