//! An instance's webhook, as users and programs set it up, try it, and look what became of its events.
//!
//! The same routes are there twice: below `/api/instances/{instance}/webhook` for users, and at `/api/webhook` for programs,
//! whose API key says which instance is meant. Each handler here serves both. What differs is a [`Side`]: who calls, and
//! whether the request may have an idempotency key. `endpoints.rs` lists the routes for both; `management/instances/webhook.rs`
//! and `messaging/webhook.rs` say below which path they are.

mod about;
mod again;
mod change;
pub mod delete;
pub mod deliveries;
mod endpoints;
pub mod put;
pub mod replay;
mod retry;
pub mod rotate_secret;
mod seal;
mod settings;
pub mod show;
pub(crate) mod side;
pub mod test;
mod view;

use std::sync::Arc;

use shared::reach::Reach;
use shared::seal::Sealer;
use shared::storage::Table;
use shared::storage::deliveries::Deliveries;
use shared::storage::webhooks::Webhooks;

pub use self::deliveries::view::DeliveryView;
pub(crate) use self::endpoints::endpoints;

/// What these routes work with beside what every function has.
#[derive(Debug)]
pub struct Hooks {
    /// Webhooks.
    pub webhooks: Webhooks,
    /// What became of their events.
    pub deliveries: Deliveries,
    /// Seals content, and nothing else.
    pub sealer: Arc<Sealer>,
    /// Where webhooks may lead.
    pub reach: Reach,
}

impl Hooks {
    /// Those of this table.
    pub fn new(table: &Table, sealer: Arc<Sealer>, reach: Reach) -> Self {
        Self {
            webhooks: Webhooks::new(table.clone()),
            deliveries: Deliveries::new(table.clone()),
            sealer,
            reach,
        }
    }
}
