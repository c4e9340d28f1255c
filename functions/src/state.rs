//! What handlers work with, built once in a process.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use shared::auth::jwt::{DEFAULT_LIFETIME, Jwts};
use shared::auth::password::Passwords;
use shared::clock::Clock;
use shared::config;
use shared::domain::network::Network;
use shared::queue::{Queue, QueueError, QueueNames};
use shared::seal::Sealer;
use shared::storage::Table;
use shared::storage::accounts::Accounts;
use shared::storage::api_keys::ApiKeys;
use shared::storage::counters::Counters;
use shared::storage::idempotency::IdempotencyKeys;
use shared::storage::instances::Instances;
use shared::storage::messages::Messages;
use shared::storage::refresh_tokens::RefreshTokens;

use crate::http::{ApiError, Code};

/// The handlers' state. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AppState(Arc<Services>);

/// What [`AppState`] holds.
#[derive(Debug)]
pub struct Services {
    /// The table.
    pub table: Table,
    /// Subscriptions and users.
    pub accounts: Accounts,
    /// Refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// API keys.
    pub api_keys: ApiKeys,
    /// Instances.
    pub instances: Instances,
    /// Message records.
    pub messages: Messages,
    /// Quotas and statistics.
    pub counters: Counters,
    /// Idempotency keys.
    pub idempotency: IdempotencyKeys,
    /// The queues.
    pub queue: Arc<dyn Queue>,
    /// Seals content, and nothing else.
    pub sealer: Arc<Sealer>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Access tokens.
    pub jwts: Jwts,
    /// Passwords.
    pub passwords: Passwords,
    /// The networks served; the first is a new instance's default.
    pub networks: Vec<Network>,
    /// Shards of each network.
    pub shards: u32,
    queue_names: BTreeMap<Network, QueueNames>,
}

impl AppState {
    /// The state of a process with this configuration. Fails where the queue prefix makes
    /// no queue name.
    pub fn new(
        config: &config::Functions,
        table: Table,
        queue: Arc<dyn Queue>,
        sealer: Arc<Sealer>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, QueueError> {
        let names = config.networks.iter().map(|network| {
            let names = QueueNames::new(&config.common.queue_prefix, network.as_str())?;
            Ok((*network, names))
        });
        Ok(Self(Arc::new(Services {
            accounts: Accounts::new(table.clone()),
            refresh_tokens: RefreshTokens::new(table.clone()),
            api_keys: ApiKeys::new(table.clone()),
            instances: Instances::new(table.clone()),
            messages: Messages::new(table.clone()),
            counters: Counters::new(table.clone()),
            idempotency: IdempotencyKeys::new(table.clone()),
            table,
            queue,
            sealer,
            clock,
            jwts: Jwts::new(&config.jwt_secrets, DEFAULT_LIFETIME),
            passwords: Passwords::new(config.bcrypt_cost),
            networks: config.networks.clone(),
            shards: config.common.shards,
            queue_names: names.collect::<Result<_, QueueError>>()?,
        })))
    }
}

impl Deref for AppState {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}

impl Services {
    /// The queues of a network. An instance's network may be one that this deployment has
    /// ceased to serve.
    pub fn queue_names(&self, network: Network) -> Result<&QueueNames, ApiError> {
        self.queue_names.get(&network).ok_or_else(|| {
            ApiError::new(
                Code::Unavailable,
                format!("This deployment does not serve the network `{network}`"),
            )
        })
    }
}
