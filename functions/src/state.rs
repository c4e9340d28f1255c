//! What handlers work with, built once in a process. Each function has a state of its own, with what it needs: it is a
//! [`Base`] or, where it serves users, a [`Users`], with more around it, and can be taken for either. What endpoints share
//! asks for one of these two.

pub(crate) mod setup;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use shared::auth::jwt::Jwts;
use shared::auth::password::Passwords;
use shared::clock::Clock;
use shared::config::{self, CorsOrigins, LOCAL_URL};
use shared::domain::network::Network;
use shared::mail::{Letters, Mailer};
use shared::queue::{Queue, QueueError, QueueNames};
use shared::reach::Reach;
use shared::storage::Table;
use shared::storage::accounts::Accounts;
use shared::storage::audit::AuditLog;
use shared::storage::mail_codes::MailCodes;
use shared::storage::rates::{Limit, Rates};
use shared::storage::sessions::Sessions;
use thiserror::Error;

use self::setup::Setup;

/// What every function has. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Base(Arc<OfAll>);

/// What [`Base`] holds.
#[derive(Debug)]
pub struct OfAll {
    /// The table.
    pub table: Table,
    /// Subscriptions and users.
    pub accounts: Accounts,
    /// Rate limits.
    pub rates: Rates,
    /// The audit log.
    pub audit: AuditLog,
    /// The queues.
    pub queue: Arc<dyn Queue>,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// How many proxies before a listener of our own add to `X-Forwarded-For`.
    pub trusted_proxies: usize,
    /// Whose pages may call the API from a browser.
    pub cors_origins: CorsOrigins,
    /// Where callers reach the API, where that is configured.
    pub public_url: Option<String>,
    /// How far the URLs that callers name may reach.
    pub reach: Reach,
    /// The networks served; the first is a new instance's default.
    pub networks: Vec<Network>,
    /// Shards of each network.
    pub shards: u32,
    /// Whether the table is the one that this configuration is for.
    pub(crate) setup: Setup,
    queue_names: BTreeMap<Network, QueueNames>,
}

/// What a function that serves users has. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Users(Arc<OfUsers>);

/// What [`Users`] holds.
#[derive(Debug)]
pub struct OfUsers {
    base: Base,
    /// Sessions of users who are logged in.
    pub sessions: Sessions,
    /// Codes sent by e-mail.
    pub mail_codes: MailCodes,
    /// Checks access tokens.
    pub jwts: Jwts,
    /// Passwords.
    pub passwords: Passwords,
    /// E-mail.
    pub mailer: Arc<dyn Mailer>,
    /// What mails say.
    pub letters: Letters,
    /// What a user may ask of the management routes.
    pub user_limit: Limit,
}

impl Base {
    /// Fails where the queue prefix makes no queue name.
    pub fn new(
        config: &config::Base,
        table: Table,
        queue: Arc<dyn Queue>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, QueueError> {
        let names = config.networks.iter().map(|network| {
            let names = QueueNames::new(&config.common.queue_prefix, network.as_str())?;
            Ok((*network, names))
        });
        Ok(Self(Arc::new(OfAll {
            accounts: Accounts::new(table.clone()),
            rates: Rates::new(table.clone()),
            audit: AuditLog::new(table.clone()),
            table,
            queue,
            clock,
            trusted_proxies: config.trusted_proxies,
            cors_origins: config.cors_origins.clone(),
            public_url: config.public_url.clone(),
            reach: config.reach,
            networks: config.networks.clone(),
            shards: config.common.shards,
            setup: Setup::default(),
            queue_names: names.collect::<Result<_, QueueError>>()?,
        })))
    }
}

impl Users {
    /// What serves users, over what every function has. `jwts` sign and check access tokens.
    pub fn new(base: Base, config: &config::Users, mailer: Arc<dyn Mailer>, jwts: Jwts) -> Self {
        let table = &base.table;
        Self(Arc::new(OfUsers {
            sessions: Sessions::new(table.clone()),
            mail_codes: MailCodes::new(table.clone()),
            jwts,
            passwords: Passwords::new(config.bcrypt_cost),
            mailer,
            letters: Letters::new(base.public_url.as_deref().unwrap_or(LOCAL_URL)),
            user_limit: Limit::per_minute(config.user_rate),
            base,
        }))
    }
}

impl OfAll {
    /// The queues of a network. An instance's network may be one that this deployment has
    /// ceased to serve.
    ///
    /// # Errors
    /// Where it is.
    pub fn queue_names(&self, network: Network) -> Result<&QueueNames, NotServed> {
        self.queue_names.get(&network).ok_or(NotServed(network))
    }
}

/// A network that this deployment does not serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this deployment does not serve the network `{0}`")]
pub struct NotServed(pub Network);

impl Deref for Base {
    type Target = OfAll;

    fn deref(&self) -> &OfAll {
        &self.0
    }
}

impl Deref for Users {
    type Target = OfUsers;

    fn deref(&self) -> &OfUsers {
        &self.0
    }
}

impl Deref for OfUsers {
    type Target = Base;

    fn deref(&self) -> &Base {
        &self.base
    }
}
