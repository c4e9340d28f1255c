//! `…/webhook/deliveries`: what became of the webhook's events.

pub mod list;
pub mod replay;
pub mod view;
