//! The one place that reads environment variables.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `WAXWING_TABLE` | the table's name | `waxwing` |
//! | `WAXWING_NETWORKS` | functions: the networks served, separated by commas | `live` |
//! | `WAXWING_NETWORK` | daemon: the network served | what the build serves |
//! | `WAXWING_SHARDS` | shards of each network | 4 |
//! | `WAXWING_QUEUE_PREFIX` | what queue names begin with | `waxwing` |
//! | `WAXWING_JWT_SECRET` | functions: signs access tokens; 32 bytes or more; `kid:secret`, several separated by commas, the first signs | — |
//! | `WAXWING_KMS_KEY` | the KMS key that wraps data keys: id, alias or ARN | — |
//! | `WAXWING_KEY_FILE` | instead of it: the file with the wrapping key | — |
//! | `WAXWING_SANDBOX_URL` | daemon of the sandbox build: the sandbox's WebSocket | `ws://127.0.0.1:3001/ws/chat` |
//! | `WAXWING_SANDBOX_CA` | daemon of the sandbox build: file with the root certificate of its media host, PEM | |
//! | `WAXWING_BCRYPT_COST` | functions: the cost of a password's hash, 4 to 31 | 12 |
//! | `WAXWING_JWT_MINUTES` | functions: how long an access token lives | 15 |
//! | `WAXWING_ADMIN_EMAIL` | functions: whoever has this address, once it is verified, is an administrator | — |
//! | `WAXWING_MAIL` | functions: `off`, `ses`, `folder:<path>` or an SMTP server as `smtps://user:password@host` | `off` |
//! | `WAXWING_MAIL_FROM` | functions: the sender of mails | — |
//! | `WAXWING_PUBLIC_URL` | functions: where callers reach the API, for links in mails | `http://localhost:3000` |
//! | `WAXWING_TRUSTED_PROXIES` | functions: how many proxies before a listener of our own add to `X-Forwarded-For` | 0 |
//! | `WAXWING_CORS_ORIGINS` | functions: origins whose pages may call the API, separated by commas; `*` for all | — |
//! | `WAXWING_AUTH_RATE` | functions: requests a minute from one address to the routes that need no token | 120 |
//! | `WAXWING_USER_RATE` | functions: requests a minute of one user to the management routes | 600 |
//! | `WAXWING_QUEUE_LIMIT` | functions: messages of one instance that may wait to be sent, 1 to 100,000 | 5000 |
//! | `WAXWING_LEASE_MS` | daemon: silence after which its shards are another's, in milliseconds | 4000 |
//! | `WAXWING_LOG` | what is logged, in `tracing`'s filter syntax | `info` |
//!
//! Region, credentials and `AWS_ENDPOINT_URL` are the AWS SDK's own.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chrono::TimeDelta;

use crate::auth::jwt::DEFAULT_LIFETIME;
use crate::auth::password::DEFAULT_COST;
use crate::domain::account::EmailAddress;
use crate::domain::network::Network;

/// A variable that is missing or not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct ConfigError {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong, without the value: it may be a secret.
    pub problem: String,
}

/// A value that must not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A secret that signs or checks access tokens, with the name that tokens carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwtSecret {
    /// The token header's `kid`.
    pub kid: String,
    /// The secret, 32 bytes or more (RFC 7518, 3.2).
    pub secret: Secret,
}

/// What wraps data keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrapping {
    /// A KMS key.
    Kms(String),
    /// A file with a key of 32 bytes.
    File(PathBuf),
}

/// What functions and daemon have in common.
#[derive(Debug, Clone)]
pub struct Common {
    /// The table's name.
    pub table: String,
    /// Shards of each network.
    pub shards: u32,
    /// What queue names begin with.
    pub queue_prefix: String,
    /// What wraps data keys.
    pub wrapping: Wrapping,
}

/// How mails go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mail {
    /// Not at all.
    Off,
    /// Through SES, from this sender.
    Ses {
        /// An address or domain that SES has verified.
        from: String,
    },
    /// Through an SMTP server, from this sender.
    Smtp {
        /// Its URL, which may hold a password.
        url: Secret,
        /// An address, perhaps with a name before it.
        from: String,
    },
    /// Into a folder.
    Folder(PathBuf),
}

/// Whose pages may call the API from a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// Anyone's. Tokens are sent by scripts, never by the browser itself, so this gives nobody a session.
    Any,
    /// Those of these origins; none of an empty list.
    These(Vec<String>),
}

/// The functions' configuration.
#[derive(Debug, Clone)]
pub struct Functions {
    /// What they have in common with the daemon.
    pub common: Common,
    /// The networks served; the first is a new instance's default.
    pub networks: Vec<Network>,
    /// The secrets of access tokens; the first signs.
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
    /// When a request for a new password is answered: as late for an address that nobody has
    /// as for one that gets a mail, so that the time does not tell.
    pub forgot_password_answer: Duration,
    /// How long a request waits for what a daemon has to answer.
    pub daemon_answer: Duration,
    /// Whose pages may call the API from a browser.
    pub cors_origins: CorsOrigins,
    /// Requests a minute from one address to the routes that need no token.
    pub auth_rate: u32,
    /// Requests a minute of one user to the management routes: more than any dashboard does.
    pub user_rate: u32,
    /// Messages of one instance that may wait to be sent. A FIFO queue looks for free groups
    /// only among its first 120,000 messages (SQS), so what one instance holds back must leave
    /// room for the others of its shard.
    pub queue_limit: u32,
}

impl Functions {
    /// The usual settings with what has no default.
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
            cors_origins: CorsOrigins::These(Vec::new()),
            auth_rate: 120,
            user_rate: 600,
            queue_limit: 5_000,
        }
    }
}

/// The daemon's configuration.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// What it has in common with the functions.
    pub common: Common,
    /// The network served; `None` for what the build serves.
    pub network: Option<Network>,
    /// The sandbox's WebSocket.
    pub sandbox_url: String,
    /// A file with the root certificate of the sandbox's media host, in PEM.
    pub sandbox_ca: Option<PathBuf>,
    /// The silence after which this daemon's shards are another's.
    pub lease: Duration,
}

/// Reads the functions' configuration.
pub fn functions() -> Result<Functions, ConfigError> {
    functions_from(&variable)
}

/// The same of functions that run in a process of their own making: the variables for what has a default are read, each
/// over what `usual` says.
pub fn functions_over(usual: Functions) -> Result<Functions, ConfigError> {
    with_settings(usual, &variable)
}

/// Reads the daemon's configuration.
pub fn daemon() -> Result<Daemon, ConfigError> {
    daemon_from(&variable)
}

/// What is logged, in `tracing`'s filter syntax.
pub fn log_filter() -> String {
    variable("WAXWING_LOG").unwrap_or_else(|| "info".to_owned())
}

/// The point of [`crate::fault`] at which to end the process: `WAXWING_FAULT`.
#[cfg(feature = "fault-hooks")]
pub fn fault_point() -> Option<String> {
    variable("WAXWING_FAULT")
}

/// The file that a fault leaves behind, so that it happens once: `WAXWING_FAULT_ONCE`.
#[cfg(feature = "fault-hooks")]
pub fn fault_marker() -> Option<PathBuf> {
    variable("WAXWING_FAULT_ONCE").map(PathBuf::from)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads environment variables"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

fn functions_from(get: Lookup<'_>) -> Result<Functions, ConfigError> {
    let networks = get("WAXWING_NETWORKS").unwrap_or_else(|| Network::Live.to_string());
    let mut networks = networks
        .split(',')
        .map(|name| {
            name.trim()
                .parse()
                .map_err(|error| problem("WAXWING_NETWORKS", error))
        })
        .collect::<Result<Vec<Network>, _>>()?;
    // A new instance is live where the deployment serves that.
    networks.sort_unstable();
    networks.dedup();
    let secrets = get("WAXWING_JWT_SECRET").ok_or_else(|| missing("WAXWING_JWT_SECRET"))?;
    let jwt_secrets = secrets.split(',').map(jwt_secret).collect::<Result<_, _>>()?;
    with_settings(Functions::new(common_from(get)?, networks, jwt_secrets), get)
}

/// What has a default, as the environment says it; where it is silent, as it is in `usual`.
fn with_settings(usual: Functions, get: Lookup<'_>) -> Result<Functions, ConfigError> {
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
        mail: mail_from(get)?.unwrap_or(usual.mail),
        public_url: get("WAXWING_PUBLIC_URL").unwrap_or(usual.public_url),
        trusted_proxies: number(get, "WAXWING_TRUSTED_PROXIES", usual.trusted_proxies, 0..=8)?,
        cors_origins: cors_origins(get).unwrap_or(usual.cors_origins),
        auth_rate: number(get, "WAXWING_AUTH_RATE", usual.auth_rate, 1..=1_000_000)?,
        user_rate: number(get, "WAXWING_USER_RATE", usual.user_rate, 1..=1_000_000)?,
        queue_limit: number(get, "WAXWING_QUEUE_LIMIT", usual.queue_limit, 1..=100_000)?,
        ..usual
    })
}

fn daemon_from(get: Lookup<'_>) -> Result<Daemon, ConfigError> {
    let network = get("WAXWING_NETWORK")
        .map(|name| name.parse().map_err(|error| problem("WAXWING_NETWORK", error)))
        .transpose()?;
    Ok(Daemon {
        common: common_from(get)?,
        network,
        sandbox_url: get("WAXWING_SANDBOX_URL").unwrap_or_else(|| "ws://127.0.0.1:3001/ws/chat".to_owned()),
        sandbox_ca: get("WAXWING_SANDBOX_CA").map(PathBuf::from),
        lease: Duration::from_millis(number(get, "WAXWING_LEASE_MS", 4_000, 4_000..=60_000)?),
    })
}

fn common_from(get: Lookup<'_>) -> Result<Common, ConfigError> {
    let wrapping = match (get("WAXWING_KMS_KEY"), get("WAXWING_KEY_FILE")) {
        (Some(key), None) => Wrapping::Kms(key),
        (None, Some(path)) => Wrapping::File(path.into()),
        (Some(_), Some(_)) => {
            return Err(problem(
                "WAXWING_KEY_FILE",
                "cannot be set beside WAXWING_KMS_KEY",
            ));
        }
        (None, None) => return Err(problem("WAXWING_KMS_KEY", "or WAXWING_KEY_FILE must be set")),
    };
    Ok(Common {
        table: get("WAXWING_TABLE").unwrap_or_else(|| "waxwing".to_owned()),
        shards: number(get, "WAXWING_SHARDS", 4, 1..=4_096)?,
        queue_prefix: get("WAXWING_QUEUE_PREFIX").unwrap_or_else(|| "waxwing".to_owned()),
        wrapping,
    })
}

fn mail_from(get: Lookup<'_>) -> Result<Option<Mail>, ConfigError> {
    let Some(text) = get("WAXWING_MAIL") else {
        return Ok(None);
    };
    let from = || get("WAXWING_MAIL_FROM").ok_or_else(|| missing("WAXWING_MAIL_FROM"));
    let mail = match text.as_str() {
        "off" => Mail::Off,
        "ses" => Mail::Ses { from: from()? },
        url if url.starts_with("smtp://") || url.starts_with("smtps://") => Mail::Smtp {
            url: Secret::new(url),
            from: from()?,
        },
        other => match other.strip_prefix("folder:") {
            Some(path) if !path.is_empty() => Mail::Folder(path.into()),
            _ => {
                return Err(problem(
                    "WAXWING_MAIL",
                    "must be `off`, `ses`, `folder:<path>`, or an smtp:// or smtps:// URL",
                ));
            }
        },
    };
    Ok(Some(mail))
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

fn jwt_secret(text: &str) -> Result<JwtSecret, ConfigError> {
    let (kid, secret) = text.trim().split_once(':').unwrap_or(("1", text.trim()));
    if secret.len() < 32 {
        return Err(problem("WAXWING_JWT_SECRET", "must have 32 bytes or more"));
    }
    Ok(JwtSecret {
        kid: kid.to_owned(),
        secret: Secret::new(secret),
    })
}

fn number<T>(
    get: Lookup<'_>,
    variable: &'static str,
    default: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, ConfigError>
where
    T: FromStr + PartialOrd + fmt::Display,
{
    let Some(text) = get(variable) else {
        return Ok(default);
    };
    text.parse()
        .ok()
        .filter(|value| range.contains(value))
        .ok_or_else(|| {
            problem(
                variable,
                format!("must be a number from {} to {}", range.start(), range.end()),
            )
        })
}

fn missing(variable: &'static str) -> ConfigError {
    problem(variable, "must be set")
}

fn problem(variable: &'static str, problem: impl fmt::Display) -> ConfigError {
    ConfigError {
        variable,
        problem: problem.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "an-access-token-secret-for-tests-alone";

    fn get(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        }
    }

    #[test]
    fn a_live_network_comes_first_however_it_is_listed() {
        let lookup = get(&[
            ("WAXWING_NETWORKS", "sandbox, live"),
            ("WAXWING_KMS_KEY", "alias/waxwing"),
            (
                "WAXWING_JWT_SECRET",
                "b:another-access-token-secret-for-tests,a:an-access-token-secret-for-tests-alone",
            ),
        ]);
        let config = functions_from(&lookup).expect("complete");
        assert_eq!(config.networks, [Network::Live, Network::Sandbox]);
        assert_eq!(config.jwt_secrets[1].secret.expose(), SECRET);
        assert_eq!(config.jwt_secrets[0].kid, "b");
        assert_eq!(config.common.shards, 4);
    }

    #[test]
    fn mail_is_off_a_folder_ses_or_a_server_and_wants_a_sender() {
        assert_eq!(mail_from(&get(&[])), Ok(None));
        assert_eq!(
            mail_from(&get(&[("WAXWING_MAIL", "folder:/tmp/mail")])),
            Ok(Some(Mail::Folder("/tmp/mail".into())))
        );
        let told = |pairs| mail_from(&get(pairs)).expect_err("not complete").to_string();
        assert_eq!(told(&[("WAXWING_MAIL", "ses")]), "WAXWING_MAIL_FROM must be set");
        assert_eq!(
            told(&[("WAXWING_MAIL", "smtps://ada:secret@mail.example.com")]),
            "WAXWING_MAIL_FROM must be set"
        );
        assert_eq!(
            told(&[("WAXWING_MAIL", "sendmail")]),
            "WAXWING_MAIL must be `off`, `ses`, `folder:<path>`, or an smtp:// or smtps:// URL"
        );
    }

    #[test]
    fn the_environment_goes_over_what_a_stack_has_by_itself() {
        let lookup = get(&[
            ("WAXWING_ADMIN_EMAIL", "ada@example.com"),
            ("WAXWING_USER_RATE", "7"),
        ]);
        let common = common_from(&get(&[("WAXWING_KEY_FILE", "f")])).expect("complete");
        let usual = Functions {
            bcrypt_cost: 5,
            mail: Mail::Folder("mails".into()),
            ..Functions::new(common, vec![Network::Sandbox], Vec::new())
        };
        let config = with_settings(usual, &lookup).expect("fine");
        assert_eq!(
            config.admin_email,
            Some("ada@example.com".parse().expect("an address"))
        );
        assert_eq!((config.user_rate, config.bcrypt_cost), (7, 5));
        assert_eq!(config.mail, Mail::Folder("mails".into()));
    }

    #[test]
    fn a_fault_names_the_variable_and_not_its_value() {
        let error = functions_from(&get(&[
            ("WAXWING_KMS_KEY", "k"),
            ("WAXWING_JWT_SECRET", "short-secret"),
        ]))
        .expect_err("too short");
        assert_eq!(error.to_string(), "WAXWING_JWT_SECRET must have 32 bytes or more");
        let error =
            daemon_from(&get(&[("WAXWING_KEY_FILE", "f"), ("WAXWING_SHARDS", "0")])).expect_err("zero");
        assert_eq!(
            error.to_string(),
            "WAXWING_SHARDS must be a number from 1 to 4096"
        );
        assert!(daemon_from(&get(&[])).is_err());
        assert!(daemon_from(&get(&[("WAXWING_KEY_FILE", "f"), ("WAXWING_KMS_KEY", "k")])).is_err());
    }
}
