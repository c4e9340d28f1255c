//! The functions' part. Each function reads what it needs and nothing else, so that a hole in one gives away no
//! secret of another. [`Base`] is what all have, and [`Users`] what the ones that serve users have. [`Auth`],
//! [`Management`] and [`Messaging`] are what each of them has for itself.

use std::time::Duration;

use chrono::TimeDelta;

use super::{
    Bucket, Common, ConfigError, FeedAddress, JwtSecret, JwtSecrets, Lookup, Mail, QueueLimits, Wrapping,
    bucket, common_from, feed, mail, number, problem, reach, wrapping_from,
};
use crate::auth::jwt::DEFAULT_LIFETIME;
use crate::auth::password::DEFAULT_COST;
use crate::domain::account::EmailAddress;
use crate::domain::network::Network;
use crate::reach::Reach;

/// Whose pages may call the API from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Anyone's. Tokens are sent by scripts, never by the browser itself, so this gives nobody a session.
    Any,
    /// The pages of these origins; none, if the list is empty.
    These(Vec<String>),
}

/// Who may register. Invited members, and users that administrators make, come in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Registration {
    /// Anybody.
    #[default]
    Open,
    /// Whoever comes first, while there is no user.
    First,
    /// Nobody.
    Closed,
}

/// A function of the deployment.
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
}

/// What every function has.
#[derive(Debug, Clone)]
pub struct Base {
    /// What they have in common with the daemon.
    pub common: Common,
    /// The networks served; the first is a new instance's default.
    pub networks: Vec<Network>,
    /// How many proxies before a listener of our own add to `X-Forwarded-For`.
    pub trusted_proxies: usize,
    /// Whose pages may call the API from a browser.
    pub cors_origins: CorsOrigins,
    /// Where callers reach the API, where that is configured: for links in errors and mails, and as the server of the OpenAPI
    /// document.
    pub public_url: Option<String>,
    /// How far the URLs that callers name may reach.
    pub reach: Reach,
}

/// What the functions that serve users have: `auth` and `management`.
#[derive(Debug, Clone)]
pub struct Users {
    /// The cost of a password's hash.
    pub bcrypt_cost: u32,
    /// How mails go out.
    pub mail: Mail,
    /// Requests a minute of one user to the management routes: more than any dashboard makes.
    pub user_rate: u32,
}

/// What `auth` alone has.
#[derive(Debug, Clone)]
pub struct Auth {
    /// How long an access token lives.
    pub jwt_lifetime: TimeDelta,
    /// Whoever has this address, once it is verified, is an administrator.
    pub admin_email: Option<EmailAddress>,
    /// Who may register.
    pub registration: Registration,
    /// How long a request for a new password takes. An address that nobody has takes as long as one that gets a mail,
    /// so the time does not tell.
    pub forgot_password_answer: Duration,
    /// Requests a minute from one address to the routes that need no token.
    pub auth_rate: u32,
}

/// What `management` alone has.
#[derive(Debug, Clone)]
pub struct Management {
    /// How long a request waits for a daemon's answer.
    pub daemon_answer: Duration,
    /// Where the pairing page finds the realtime feed; without one it asks now and again.
    pub feed: Option<FeedAddress>,
}

/// What `messaging` alone has.
#[derive(Debug, Clone)]
pub struct Messaging {
    /// How long a request tries to send a job to a queue that does not answer. With what comes before and after, it
    /// must stay below the 29 s that API Gateway gives a request.
    pub queue_answer: Duration,
    /// How long a request waits for a daemon's answer.
    pub daemon_answer: Duration,
    /// Messages of one instance that may wait to be sent. A FIFO queue looks for free groups
    /// only among its first 120,000 messages (SQS), so what one instance holds back must leave
    /// room for the others of its shard.
    pub queue_limit: u32,
    /// The same for an instance that is not connected. The lower of this and [`Self::queue_limit`] holds.
    pub offline_queue_limit: u32,
    /// The same for all instances of a shard together.
    pub shard_queue_limit: u32,
    /// Messages of one instance that may be scheduled for one day (UTC).
    pub schedule_limit: u32,
}

/// The configuration of a process that has all functions.
#[derive(Debug, Clone)]
pub struct Functions {
    /// What every function has.
    pub base: Base,
    /// What the functions that serve users have.
    pub users: Users,
    /// The secrets of access tokens; the first signs.
    pub jwt_secrets: Vec<JwtSecret>,
    /// What wraps data keys.
    pub wrapping: Wrapping,
    /// What `auth` has for itself.
    pub auth: Auth,
    /// What `management` has for itself.
    pub management: Management,
    /// What `messaging` has for itself.
    pub messaging: Messaging,
}

impl Base {
    /// The usual settings with what has no default.
    pub fn new(common: Common, networks: Vec<Network>) -> Self {
        Self {
            common,
            networks,
            trusted_proxies: 0,
            cors_origins: CorsOrigins::These(Vec::new()),
            public_url: None,
            reach: Reach::INTERNET,
        }
    }

    fn over(self, get: Lookup<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            trusted_proxies: number(get, "WAXWING_TRUSTED_PROXIES", self.trusted_proxies, 0..=8)?,
            cors_origins: cors_origins(get).unwrap_or(self.cors_origins),
            public_url: get("WAXWING_PUBLIC_URL").or(self.public_url),
            reach: reach(get)?.unwrap_or(self.reach),
            ..self
        })
    }
}

impl Default for Users {
    fn default() -> Self {
        Self {
            bcrypt_cost: DEFAULT_COST,
            mail: Mail::Off,
            user_rate: 600,
        }
    }
}

impl Users {
    fn over(self, get: Lookup<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            bcrypt_cost: number(get, "WAXWING_BCRYPT_COST", self.bcrypt_cost, 4..=31)?,
            mail: mail::read(get)?.unwrap_or(self.mail),
            user_rate: number(get, "WAXWING_USER_RATE", self.user_rate, 1..=1_000_000)?,
        })
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            jwt_lifetime: DEFAULT_LIFETIME,
            admin_email: None,
            registration: Registration::Open,
            forgot_password_answer: Duration::from_secs(3),
            auth_rate: 120,
        }
    }
}

impl Auth {
    fn over(self, get: Lookup<'_>) -> Result<Self, ConfigError> {
        let minutes = self.jwt_lifetime.num_minutes();
        let admin_email = get("WAXWING_ADMIN_EMAIL")
            .map(|text| {
                text.parse()
                    .map_err(|error| problem("WAXWING_ADMIN_EMAIL", error))
            })
            .transpose()?;
        Ok(Self {
            jwt_lifetime: TimeDelta::minutes(number(get, "WAXWING_JWT_MINUTES", minutes, 1..=1_440)?),
            admin_email: admin_email.or(self.admin_email),
            registration: registration(get)?.unwrap_or(self.registration),
            auth_rate: number(get, "WAXWING_AUTH_RATE", self.auth_rate, 1..=1_000_000)?,
            ..self
        })
    }
}

impl Default for Management {
    fn default() -> Self {
        Self {
            daemon_answer: Duration::from_secs(20),
            feed: None,
        }
    }
}

impl Management {
    fn over(self, get: Lookup<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            feed: feed::read(get)?.or(self.feed),
            ..self
        })
    }
}

impl Default for Messaging {
    fn default() -> Self {
        let limits = QueueLimits::default();
        Self {
            queue_answer: Duration::from_secs(10),
            daemon_answer: Duration::from_secs(20),
            queue_limit: limits.instance,
            offline_queue_limit: limits.offline,
            shard_queue_limit: limits.shard,
            schedule_limit: 10_000,
        }
    }
}

impl Messaging {
    fn over(self, get: Lookup<'_>) -> Result<Self, ConfigError> {
        let limits = QueueLimits {
            instance: self.queue_limit,
            offline: self.offline_queue_limit,
            shard: self.shard_queue_limit,
        };
        let limits = limits.over(get)?;
        Ok(Self {
            queue_limit: limits.instance,
            offline_queue_limit: limits.offline,
            shard_queue_limit: limits.shard,
            schedule_limit: number(get, "WAXWING_SCHEDULE_LIMIT", self.schedule_limit, 1..=100_000)?,
            ..self
        })
    }
}

impl Functions {
    /// The usual settings with what has no default.
    pub fn new(
        common: Common,
        networks: Vec<Network>,
        jwt_secrets: Vec<JwtSecret>,
        wrapping: Wrapping,
    ) -> Self {
        Self {
            base: Base::new(common, networks),
            users: Users::default(),
            jwt_secrets,
            wrapping,
            auth: Auth::default(),
            management: Management::default(),
            messaging: Messaging::default(),
        }
    }

    /// Reads the variables that have a default; where one is not set, the value here stays.
    pub(super) fn over(self, get: Lookup<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            base: self.base.over(get)?,
            users: self.users.over(get)?,
            auth: self.auth.over(get)?,
            management: self.management.over(get)?,
            messaging: self.messaging.over(get)?,
            ..self
        })
    }
}

pub(super) fn auth(get: Lookup<'_>) -> Result<(Base, Users, JwtSecrets, Auth), ConfigError> {
    let own = Auth::default().over(get)?;
    Ok((base_from(get)?, users_from(get)?, secrets_from(get)?, own))
}

pub(super) fn management(
    get: Lookup<'_>,
) -> Result<(Base, Users, JwtSecrets, Wrapping, Management), ConfigError> {
    let own = Management::default().over(get)?;
    Ok((
        base_from(get)?,
        users_from(get)?,
        secrets_from(get)?,
        wrapping_from(get)?,
        own,
    ))
}

pub(super) fn messaging(get: Lookup<'_>) -> Result<(Base, Wrapping, Bucket, Messaging), ConfigError> {
    Ok((
        base_from(get)?,
        wrapping_from(get)?,
        bucket::read(get)?,
        Messaging::default().over(get)?,
    ))
}

pub(super) fn webhooks(get: Lookup<'_>) -> Result<(Base, Wrapping, Bucket), ConfigError> {
    Ok((base_from(get)?, wrapping_from(get)?, bucket::read(get)?))
}

fn base_from(get: Lookup<'_>) -> Result<Base, ConfigError> {
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
    Base::new(common_from(get)?, networks).over(get)
}

fn users_from(get: Lookup<'_>) -> Result<Users, ConfigError> {
    Users::default().over(get)
}

fn secrets_from(get: Lookup<'_>) -> Result<JwtSecrets, ConfigError> {
    JwtSecrets::read(get)?
        .ok_or_else(|| problem("WAXWING_JWT_SECRET", "or WAXWING_JWT_SECRET_ARN must be set"))
}

/// Who may register; `None` where nothing is said.
fn registration(get: Lookup<'_>) -> Result<Option<Registration>, ConfigError> {
    const VARIABLE: &str = "WAXWING_REGISTRATION";
    match get(VARIABLE).as_deref() {
        None => Ok(None),
        Some("open") => Ok(Some(Registration::Open)),
        Some("first") => Ok(Some(Registration::First)),
        Some("closed") => Ok(Some(Registration::Closed)),
        Some(_) => Err(problem(VARIABLE, "must be `open`, `first` or `closed`")),
    }
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
