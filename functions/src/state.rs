//! What handlers work with, built once in a process.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use shared::auth::jwt::Jwts;
use shared::auth::password::Passwords;
use shared::clock::Clock;
use shared::config::{self, CorsOrigins};
use shared::domain::account::EmailAddress;
use shared::domain::network::Network;
use shared::mail::{Letters, Mailer};
use shared::queue::{Queue, QueueError, QueueNames};
use shared::seal::Sealer;
use shared::storage::Table;
use shared::storage::accounts::Accounts;
use shared::storage::api_keys::ApiKeys;
use shared::storage::audit::AuditLog;
use shared::storage::counters::Counters;
use shared::storage::idempotency::IdempotencyKeys;
use shared::storage::instances::Instances;
use shared::storage::lockouts::Lockouts;
use shared::storage::mail_codes::MailCodes;
use shared::storage::messages::Messages;
use shared::storage::rates::{Limit, Rates};
use shared::storage::sessions::Sessions;

use crate::cached::Cached;
use crate::http::{ApiError, Code};
use crate::management::Overview;
use crate::messaging::messages::backlog::{Backlog, Limits};
use crate::messaging::people::Directory;
use crate::setup::Setup;

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
    /// Sessions of users who are logged in.
    pub sessions: Sessions,
    /// Codes sent by e-mail.
    pub mail_codes: MailCodes,
    /// Locks after failed logins.
    pub lockouts: Lockouts,
    /// Rate limits.
    pub rates: Rates,
    /// The audit log.
    pub audit: AuditLog,
    /// API keys.
    pub api_keys: ApiKeys,
    /// Instances.
    pub instances: Instances,
    /// Message records.
    pub messages: Messages,
    /// Quotas and statistics.
    pub counters: Counters,
    /// What is known of instances and shards with many messages.
    pub backlog: Backlog,
    /// Who is who to each instance.
    pub people: Directory,
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
    /// E-mail.
    pub mailer: Arc<dyn Mailer>,
    /// What mails say.
    pub letters: Letters,
    /// Whoever has this address, once it is verified, is an administrator.
    pub admin_email: Option<EmailAddress>,
    /// How many proxies before a listener of our own add to `X-Forwarded-For`.
    pub trusted_proxies: usize,
    /// When a request for a new password is answered, whether a mail goes out or not.
    pub forgot_password_answer: Duration,
    /// How long a request waits for what a daemon has to answer.
    pub daemon_answer: Duration,
    /// How long a request tries to bring a message into its queue.
    pub queue_answer: Duration,
    /// Whose pages may call the API from a browser.
    pub cors_origins: CorsOrigins,
    /// What an address may ask of the routes that need no token.
    pub auth_limit: Limit,
    /// What a user may ask of the management routes.
    pub user_limit: Limit,
    /// The networks served; the first is a new instance's default.
    pub networks: Vec<Network>,
    /// Shards of each network.
    pub shards: u32,
    /// Whether the table is the one that this configuration is for.
    pub(crate) setup: Setup,
    /// What administrators were last told of the whole deployment.
    pub(crate) overview: Cached<Overview>,
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
        mailer: Arc<dyn Mailer>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, QueueError> {
        let names = config.networks.iter().map(|network| {
            let names = QueueNames::new(&config.common.queue_prefix, network.as_str())?;
            Ok((*network, names))
        });
        Ok(Self(Arc::new(Services {
            accounts: Accounts::new(table.clone()),
            sessions: Sessions::new(table.clone()),
            mail_codes: MailCodes::new(table.clone()),
            lockouts: Lockouts::new(table.clone()),
            rates: Rates::new(table.clone()),
            audit: AuditLog::new(table.clone()),
            api_keys: ApiKeys::new(table.clone()),
            instances: Instances::new(table.clone()),
            messages: Messages::new(table.clone()),
            counters: Counters::new(table.clone()),
            backlog: Backlog::new(Limits {
                instance: config.queue_limit,
                offline: config.offline_queue_limit,
                shard: config.shard_queue_limit,
            }),
            people: Directory::new(table.clone()),
            idempotency: IdempotencyKeys::new(table.clone()),
            table,
            queue,
            sealer,
            clock,
            jwts: Jwts::new(&config.jwt_secrets, config.jwt_lifetime),
            passwords: Passwords::new(config.bcrypt_cost),
            mailer,
            letters: Letters::new(&config.public_url),
            admin_email: config.admin_email.clone(),
            trusted_proxies: config.trusted_proxies,
            forgot_password_answer: config.forgot_password_answer,
            daemon_answer: config.daemon_answer,
            queue_answer: config.queue_answer,
            cors_origins: config.cors_origins.clone(),
            auth_limit: Limit::per_minute(config.auth_rate),
            user_limit: Limit::per_minute(config.user_rate),
            networks: config.networks.clone(),
            shards: config.common.shards,
            setup: Setup::default(),
            overview: Cached::default(),
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
