//! The functions' part.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Common, ConfigError, JwtSecret, Lookup, Mail, common_from, mail, missing, number, problem};
use crate::auth::jwt::DEFAULT_LIFETIME;
use crate::auth::password::DEFAULT_COST;
use crate::domain::account::EmailAddress;
use crate::domain::network::Network;

/// Whose pages may call the API from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Anyone's. Tokens are sent by scripts, never by the browser itself, so this gives nobody a session.
    Any,
    /// Those of these origins; none of an empty list.
    These(Vec<String>),
}

/// Which function reads its configuration. Each has what it needs: a hole in one gives away no
/// secret of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// `auth`: it signs access tokens and sends mails.
    Auth,
    /// `management`: it verifies access tokens and sends mails.
    Management,
    /// `messaging`: its callers have API keys, and it sends no mail.
    Messaging,
}

impl Function {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auth, Self::Management, Self::Messaging];

    /// Its name, which is its binary's too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Management => "management",
            Self::Messaging => "messaging",
        }
    }

    /// Whether its callers have access tokens. The same functions send mails.
    const fn serves_users(self) -> bool {
        match self {
            Self::Auth | Self::Management => true,
            Self::Messaging => false,
        }
    }
}

/// The functions' configuration.
#[derive(Debug, Clone)]
pub struct Functions {
    /// What they have in common with the daemon.
    pub common: Common,
    /// The networks served; the first is a new instance's default.
    pub networks: Vec<Network>,
    /// The secrets of access tokens; the first signs. None in a function that serves no users.
    pub jwt_secrets: Vec<JwtSecret>,
    /// The cost of a password's hash.
    pub bcrypt_cost: u32,
    /// How long an access token lives.
    pub jwt_lifetime: TimeDelta,
    /// Whoever has this address, once it is verified, is an administrator.
    pub admin_email: Option<EmailAddress>,
    /// How mails go out.
    pub mail: Mail,
    /// Where callers reach the API, for links in mails.
    pub public_url: String,
    /// How many proxies before a listener of our own add to `X-Forwarded-For`.
    pub trusted_proxies: usize,
    /// How long a request for a new password takes. An address that nobody has takes as long as one that gets a mail,
    /// so the time does not tell.
    pub forgot_password_answer: Duration,
    /// How long a request waits for a daemon's answer.
    pub daemon_answer: Duration,
    /// How long a request tries to send a job to a queue that does not answer. With what comes before and after, it
    /// must stay below the 29 s that API Gateway gives a request.
    pub queue_answer: Duration,
    /// Whose pages may call the API from a browser.
    pub cors_origins: CorsOrigins,
    /// Requests a minute from one address to the routes that need no token.
    pub auth_rate: u32,
    /// Requests a minute of one user to the management routes: more than any dashboard makes.
    pub user_rate: u32,
    /// Messages of one instance that may wait to be sent. A FIFO queue looks for free groups
    /// only among its first 120,000 messages (SQS), so what one instance holds back must leave
    /// room for the others of its shard.
    pub queue_limit: u32,
    /// The same for an instance that is not connected. The lower of this and [`Self::queue_limit`] holds.
    pub offline_queue_limit: u32,
    /// The same for all instances of a shard together.
    pub shard_queue_limit: u32,
}

impl Functions {
    /// The defaults, with these values for what has none.
    pub fn new(common: Common, networks: Vec<Network>, jwt_secrets: Vec<JwtSecret>) -> Self {
        Self {
            common,
            networks,
            jwt_secrets,
            bcrypt_cost: DEFAULT_COST,
            jwt_lifetime: DEFAULT_LIFETIME,
            admin_email: None,
            mail: Mail::Off,
            public_url: "http://localhost:3000".to_owned(),
            trusted_proxies: 0,
            forgot_password_answer: Duration::from_secs(3),
            daemon_answer: Duration::from_secs(20),
            queue_answer: Duration::from_secs(10),
            cors_origins: CorsOrigins::These(Vec::new()),
            auth_rate: 120,
            user_rate: 600,
            queue_limit: 10_000,
            offline_queue_limit: 5_000,
            shard_queue_limit: 100_000,
        }
    }
}

pub(super) fn read(function: Function, get: Lookup<'_>) -> Result<Functions, ConfigError> {
    let networks = get("WAXWING_NETWORKS").unwrap_or_else(|| Network::Live.to_string());
    let mut networks = networks
        .split(',')
        .map(|name| {
            name.trim()
                .parse()
                .map_err(|error| problem("WAXWING_NETWORKS", error))
        })
        .collect::<Result<Vec<Network>, _>>()?;
    // The first network is a new instance's default: `live`, where the deployment serves it.
    networks.sort_unstable();
    networks.dedup();
    if !function.serves_users() {
        // Variables of the other functions are not even read.
        let without = |name: &str| get(name).filter(|_| !USERS_ALONE.contains(&name));
        return read_over(Functions::new(common_from(get)?, networks, Vec::new()), &without);
    }
    let secrets = get("WAXWING_JWT_SECRET").ok_or_else(|| missing("WAXWING_JWT_SECRET"))?;
    let jwt_secrets = secrets
        .split(',')
        .map(JwtSecret::read)
        .collect::<Result<_, _>>()?;
    read_over(Functions::new(common_from(get)?, networks, jwt_secrets), get)
}

/// Variables for functions that serve users only: secrets, and who may become administrator.
const USERS_ALONE: [&str; 4] = [
    "WAXWING_JWT_SECRET",
    "WAXWING_ADMIN_EMAIL",
    "WAXWING_MAIL",
    "WAXWING_MAIL_FROM",
];

/// Reads the variables that have a default; where one is not set, the value in `usual` stays.
pub(super) fn read_over(usual: Functions, get: Lookup<'_>) -> Result<Functions, ConfigError> {
    let minutes = usual.jwt_lifetime.num_minutes();
    let admin_email = get("WAXWING_ADMIN_EMAIL")
        .map(|text| {
            text.parse()
                .map_err(|error| problem("WAXWING_ADMIN_EMAIL", error))
        })
        .transpose()?;
    Ok(Functions {
        bcrypt_cost: number(get, "WAXWING_BCRYPT_COST", usual.bcrypt_cost, 4..=31)?,
        jwt_lifetime: TimeDelta::minutes(number(get, "WAXWING_JWT_MINUTES", minutes, 1..=1_440)?),
        admin_email: admin_email.or(usual.admin_email),
        mail: mail::read(get)?.unwrap_or(usual.mail),
        public_url: get("WAXWING_PUBLIC_URL").unwrap_or(usual.public_url),
        trusted_proxies: number(get, "WAXWING_TRUSTED_PROXIES", usual.trusted_proxies, 0..=8)?,
        cors_origins: cors_origins(get).unwrap_or(usual.cors_origins),
        auth_rate: number(get, "WAXWING_AUTH_RATE", usual.auth_rate, 1..=1_000_000)?,
        user_rate: number(get, "WAXWING_USER_RATE", usual.user_rate, 1..=1_000_000)?,
        queue_limit: number(get, "WAXWING_QUEUE_LIMIT", usual.queue_limit, 1..=100_000)?,
        offline_queue_limit: number(
            get,
            "WAXWING_OFFLINE_QUEUE_LIMIT",
            usual.offline_queue_limit,
            1..=100_000,
        )?,
        shard_queue_limit: number(
            get,
            "WAXWING_SHARD_QUEUE_LIMIT",
            usual.shard_queue_limit,
            1..=100_000,
        )?,
        ..usual
    })
}

fn cors_origins(get: Lookup<'_>) -> Option<CorsOrigins> {
    let text = get("WAXWING_CORS_ORIGINS")?;
    if text.trim() == "*" {
        return Some(CorsOrigins::Any);
    }
    let origins = text.split(',').map(str::trim);
    let origins = origins
        .filter(|origin| !origin.is_empty())
        .map(|origin| origin.trim_end_matches('/').to_owned());
    Some(CorsOrigins::These(origins.collect()))
}
