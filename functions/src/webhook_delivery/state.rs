//! What this function works with.

use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use shared::bucket::Bucket;
use shared::domain::delivery::Attempt;
use shared::ids::EventId;
use shared::recent::Recent;
use shared::seal::Sealer;
use shared::storage::deliveries::Deliveries;
use shared::storage::instances::Instances;
use shared::storage::webhooks::Webhooks;

use super::forget;
use super::slots::{Limits, Slots};
use super::slow;
use super::transport::{self, Transport};
use crate::state::Base;

/// Of how many events it is remembered that they arrived though that could not be recorded.
const REMEMBERED: usize = 4_096;

/// The state of the function `webhooks`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WebhooksState(Arc<OfWebhooks>);

/// What [`WebhooksState`] holds.
#[derive(Debug)]
pub struct OfWebhooks {
    base: Base,
    /// Instances.
    pub instances: Instances,
    /// Webhooks.
    pub webhooks: Webhooks,
    /// The log of deliveries.
    pub deliveries: Deliveries,
    /// Opens content, and nothing else.
    pub sealer: Arc<Sealer>,
    /// Events that failed.
    pub bucket: Bucket,
    /// Makes attempts.
    pub(super) transport: Transport,
    /// Bounds what is under way.
    pub(super) slots: Slots,
    /// Bounds what is under way to slow endpoints.
    pub(super) slow: slow::Limits,
    /// For how long an errand removes what a deleted webhook has left.
    pub(super) forgets_for: Duration,
    /// Events that their endpoints have taken, and of which that is not recorded yet.
    pub(super) unrecorded: Mutex<Recent<EventId, Attempt>>,
}

/// What a test may set otherwise.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How attempts are made.
    pub transport: transport::Settings,
    /// How many are under way at once.
    pub limits: Limits,
    /// When an endpoint is slow, and how many attempts are under way to one then.
    pub slow: slow::Limits,
    /// For how long an errand removes what a deleted webhook has left, before it is queued again.
    pub forgets_for: Duration,
}

impl Settings {
    /// What a deployment has whose URLs reach this far.
    pub fn usual(base: &Base) -> Self {
        Self {
            transport: transport::Settings::new(base.reach),
            limits: Limits::default(),
            slow: slow::Limits::default(),
            forgets_for: forget::TIME,
        }
    }
}

impl WebhooksState {
    /// The state over what every function has.
    pub fn new(base: Base, sealer: Arc<Sealer>, bucket: Bucket, settings: Settings) -> reqwest::Result<Self> {
        let table = &base.table;
        Ok(Self(Arc::new(OfWebhooks {
            instances: Instances::new(table.clone()),
            webhooks: Webhooks::new(table.clone()),
            deliveries: Deliveries::new(table.clone()),
            sealer,
            bucket,
            transport: Transport::new(settings.transport)?,
            slots: Slots::new(settings.limits),
            slow: settings.slow,
            forgets_for: settings.forgets_for,
            unrecorded: Mutex::new(Recent::new(REMEMBERED)),
            base,
        })))
    }
}

impl Deref for WebhooksState {
    type Target = OfWebhooks;

    fn deref(&self) -> &OfWebhooks {
        &self.0
    }
}

impl Deref for OfWebhooks {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}
