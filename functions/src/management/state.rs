//! What this function's handlers work with.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use shared::config;
use shared::seal::Sealer;
use shared::storage::api_keys::ApiKeys;
use shared::storage::counters::Counters;
use shared::storage::instances::Instances;
use shared::storage::messages::Messages;

use crate::state::{Base, Users};
use crate::webhook_routes::Hooks;

/// The state of the function `management`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ManagementState(Arc<OfManagement>);

/// What [`ManagementState`] holds.
#[derive(Debug)]
pub struct OfManagement {
    users: Users,
    /// API keys.
    pub api_keys: ApiKeys,
    /// Instances.
    pub instances: Instances,
    /// Message records.
    pub messages: Messages,
    /// Quotas and statistics.
    pub counters: Counters,
    /// Opens QR and pairing codes; seals content, and nothing else.
    pub sealer: Arc<Sealer>,
    /// Webhooks, and what became of their events.
    pub(crate) hooks: Hooks,
    /// How long a request waits for what a daemon has to answer.
    pub daemon_answer: Duration,
    /// Where the pairing page finds the realtime feed.
    pub feed: Option<config::FeedAddress>,
}

impl ManagementState {
    /// The state over what serves users.
    pub fn new(users: Users, sealer: Arc<Sealer>, config: &config::Management) -> Self {
        let table = &users.table;
        Self(Arc::new(OfManagement {
            api_keys: ApiKeys::new(table.clone()),
            instances: Instances::new(table.clone()),
            messages: Messages::new(table.clone()),
            counters: Counters::new(table.clone()),
            hooks: Hooks::new(table, Arc::clone(&sealer), users.reach),
            sealer,
            daemon_answer: config.daemon_answer,
            feed: config.feed.clone(),
            users,
        }))
    }
}

impl Deref for ManagementState {
    type Target = OfManagement;

    fn deref(&self) -> &OfManagement {
        &self.0
    }
}

impl Deref for OfManagement {
    type Target = Users;

    fn deref(&self) -> &Users {
        &self.users
    }
}

impl FromRef<ManagementState> for Base {
    fn from_ref(state: &ManagementState) -> Self {
        Self::clone(state)
    }
}

impl FromRef<ManagementState> for Users {
    fn from_ref(state: &ManagementState) -> Self {
        Self::clone(state)
    }
}
