//! The one place that reads environment variables.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `WAXWING_TABLE` | the table's name | `waxwing` |
//! | `WAXWING_NETWORKS` | functions: the networks served, separated by commas | `live` |
//! | `WAXWING_NETWORK` | daemon: the network served | what the build serves |
//! | `WAXWING_SHARDS` | shards of each network | 4 |
//! | `WAXWING_QUEUE_PREFIX` | what queue names begin with | `waxwing` |
//! | `WAXWING_LISTEN` | daemon: where it answers `/health`, `/ready` and `/metrics` and has the realtime feed, such as `0.0.0.0:3002` | nowhere |
//! | `WAXWING_REDIS_URL` | daemon: the Redis by which several daemons tell each other events of the realtime feed; `rediss://` for TLS | — |
//! | `WAXWING_REALTIME_SOCKETS` | daemon: sockets of the realtime feed that may be open at once, 1 to 60,000 | 2000 |
//! | `WAXWING_JWT_SECRET` | auth and management, and a daemon whose realtime feed is on: signs and checks access tokens; 32 bytes or more; `kid:secret`, several separated by commas, the first signs | — |
//! | `WAXWING_JWT_SECRET_ARN` | the same, instead of it: the ARN of the secret in Secrets Manager that has it; read at the start, and anew every five minutes | — |
//! | `WAXWING_KMS_KEY` | management, messaging, webhooks and daemon: the KMS key that wraps data keys: id, alias or ARN | — |
//! | `WAXWING_KEY_FILE` | instead of it: the file with the wrapping key | — |
//! | `WAXWING_BUCKET` | messaging, webhooks and daemon: the bucket of media and events: its name in S3, or `folder:<path>` | — |
//! | `WAXWING_SANDBOX_URL` | daemon of the sandbox build: the sandbox's WebSocket | `ws://127.0.0.1:3001/ws/chat` |
//! | `WAXWING_SANDBOX_CA` | daemon of the sandbox build: file with the root certificate of its media host, PEM | |
//! | `WAXWING_BCRYPT_COST` | auth and management: the cost of a password's hash, 4 to 31 | 12 |
//! | `WAXWING_JWT_MINUTES` | auth: how long an access token lives | 15 |
//! | `WAXWING_ADMIN_EMAIL` | auth: whoever has this address, once it is verified, is an administrator | — |
//! | `WAXWING_REGISTRATION` | auth: who may register: `open` for anybody, `first` for whoever comes first while there is no user, `closed` for nobody | `open`; in `waxwing-server` `first` |
//! | `WAXWING_MAIL` | auth and management: `off`, `ses`, `folder:<path>` or an SMTP server as `smtps://user:password@host` | `off` |
//! | `WAXWING_MAIL_FROM` | auth and management: the sender of mails | — |
//! | `WAXWING_PUBLIC_URL` | functions: where callers reach the API, for links in errors, in mails, in the OpenAPI document and to media in a folder | errors: the host that the request names; else `http://localhost:3000` |
//! | `WAXWING_REALTIME_URL` | management: where browsers reach the realtime feed, for the pairing page: `https://<host>`, or `/` where it is on the host of the page | — |
//! | `WAXWING_TRUSTED_PROXIES` | functions and daemon: how many proxies before a listener of our own add to `X-Forwarded-For` | 0 |
//! | `WAXWING_CORS_ORIGINS` | functions: origins whose pages may call the API, separated by commas; `*` for all | — |
//! | `WAXWING_AUTH_RATE` | auth: requests a minute from one address to the routes that need no token | 120 |
//! | `WAXWING_USER_RATE` | auth and management: requests a minute of one user to the management routes | 600 |
//! | `WAXWING_QUEUE_LIMIT` | messaging and daemon: messages of one instance that may wait to be sent, 1 to 100,000 | 10000 |
//! | `WAXWING_OFFLINE_QUEUE_LIMIT` | messaging and daemon: the same of one that is not connected | 5000 |
//! | `WAXWING_SHARD_QUEUE_LIMIT` | messaging and daemon: the same of all instances of a shard together | 100000 |
//! | `WAXWING_SCHEDULE_LIMIT` | messaging: messages of one instance that may be scheduled for one day, 1 to 100,000 | 10000 |
//! | `WAXWING_LEASE_MS` | daemon: silence after which its shards are another's, in milliseconds | 4000 |
//! | `WAXWING_CLOCK` | daemon: with `table` a machine's clock that is wrong by more than five seconds is corrected by the table's; with `machine` it is not | `table` |
//! | `WAXWING_SESSION_STARTS` | daemon: sessions that may begin at once, 1 to 1,000 | 64 |
//! | `WAXWING_PRIVATE_ADDRESSES` | functions and daemon: `allow` where URLs that callers name may lead into private networks, this machine's own addresses among them; `loopback` for these alone; with either, webhooks may be `http` | `refuse` |
//! | `WAXWING_SPOOL` | daemon: folder for files that are being sent, encrypted; up to 16 GiB | the system's |
//! | `WAXWING_EMF` | daemon: `on` where it prints its metrics for CloudWatch, in the embedded metric format, once a minute | `off` |
//! | `WAXWING_LOG` | what is logged, in `tracing`'s filter syntax | `info` |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | the collector that gets traces, by OTLP as JSON over HTTP | none: tracing is off |
//! | `OTEL_EXPORTER_OTLP_HEADERS` | headers of each request to it, as `name=value`, separated by commas; secret | — |
//! | `OTEL_SERVICE_NAME` | what traces call this process | `waxwing-` and the function's name, `waxwing-daemon` or `waxwing` |
//! | `OTEL_TRACES_SAMPLER` | which traces are recorded: `always_on`, `always_off`, `traceidratio`, and these behind `parentbased_` | `parentbased_always_on` |
//! | `OTEL_TRACES_SAMPLER_ARG` | the share that `traceidratio` records, 0 to 1 | 1 |
//!
//! `waxwing-server` reads those of all functions, and has what they demand by itself.
//!
//! Region, credentials and `AWS_ENDPOINT_URL` are the AWS SDK's own, and `AWS_LAMBDA_…` Lambda's.

mod bucket;
mod daemon;
mod feed;
mod functions;
mod mail;
mod secret;
#[cfg(test)]
mod tests;
mod traces;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

pub use bucket::Bucket;
pub use daemon::{Daemon, QueueLimits, Realtime, SESSION_STARTS};
pub use feed::FeedAddress;
pub use functions::{
    Auth, Base, CorsOrigins, Function, Functions, Management, Messaging, Registration, Users,
};
pub use mail::Mail;
pub use secret::{JwtSecret, JwtSecrets, Secret};
pub use traces::Traces;

use crate::reach::Reach;

/// Where callers reach the API of a local stack.
pub const LOCAL_URL: &str = "http://localhost:3000";

/// A variable that is missing or not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct ConfigError {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong, without the value: it may be a secret.
    pub problem: String,
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
}

/// Reads the configuration of the function `auth`.
pub fn auth() -> Result<(Base, Users, JwtSecrets, Auth), ConfigError> {
    functions::auth(&variable)
}

/// Reads the configuration of the function `management`.
pub fn management() -> Result<(Base, Users, JwtSecrets, Wrapping, Management), ConfigError> {
    functions::management(&variable)
}

/// Reads the configuration of the function `messaging`.
pub fn messaging() -> Result<(Base, Wrapping, Bucket, Messaging), ConfigError> {
    functions::messaging(&variable)
}

/// Reads the configuration of the function `webhooks`.
pub fn webhooks() -> Result<(Base, Wrapping, Bucket), ConfigError> {
    functions::webhooks(&variable)
}

/// The configuration of a process that has all functions: the variables for what has a default are read, each over what
/// `usual` says.
pub fn functions_over(usual: Functions) -> Result<Functions, ConfigError> {
    usual.over(&variable)
}

/// What a process that has the realtime feed beside all functions reads, over what `usual` says.
pub fn realtime_over(usual: Realtime) -> Result<Realtime, ConfigError> {
    usual.over(&variable)
}

/// Reads the daemon's configuration.
pub fn daemon() -> Result<Daemon, ConfigError> {
    daemon::read(&variable)
}

/// Where the daemon listens, for whoever asks it how it is; `None` for nowhere.
pub fn daemon_address() -> Result<Option<SocketAddr>, ConfigError> {
    daemon::address(&variable)
}

/// What wraps data keys, where that is said: for a process that has a key of its own otherwise.
pub fn wrapping() -> Result<Option<Wrapping>, ConfigError> {
    wrapping_if_said(&variable)
}

/// The secrets of access tokens, where they are said: for a process that has one of its own otherwise.
pub fn jwt_secrets() -> Result<Option<Vec<JwtSecret>>, ConfigError> {
    variable("WAXWING_JWT_SECRET")
        .map(|secrets| JwtSecret::read_all(&secrets))
        .transpose()
}

/// Where Lambda's Runtime API answers, for a function that cannot start: `AWS_LAMBDA_RUNTIME_API`, a host with its port. `None`
/// where there is no Lambda.
pub fn lambda_runtime_api() -> Option<String> {
    variable("AWS_LAMBDA_RUNTIME_API")
}

/// What is logged, in `tracing`'s filter syntax.
pub fn log_filter() -> String {
    variable("WAXWING_LOG").unwrap_or_else(|| "info".to_owned())
}

/// Where traces go; `None` where tracing is off.
pub fn traces() -> Result<Option<Traces>, ConfigError> {
    traces::read(&variable)
}

/// The point of [`crate::fault`] at which the process ends: `WAXWING_FAULT`.
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

fn wrapping_from(get: Lookup<'_>) -> Result<Wrapping, ConfigError> {
    wrapping_if_said(get)?.ok_or_else(|| problem("WAXWING_KMS_KEY", "or WAXWING_KEY_FILE must be set"))
}

fn wrapping_if_said(get: Lookup<'_>) -> Result<Option<Wrapping>, ConfigError> {
    match (get("WAXWING_KMS_KEY"), get("WAXWING_KEY_FILE")) {
        (Some(key), None) => Ok(Some(Wrapping::Kms(key))),
        (None, Some(path)) => Ok(Some(Wrapping::File(path.into()))),
        (Some(_), Some(_)) => Err(problem(
            "WAXWING_KEY_FILE",
            "cannot be set beside WAXWING_KMS_KEY",
        )),
        (None, None) => Ok(None),
    }
}

fn common_from(get: Lookup<'_>) -> Result<Common, ConfigError> {
    Ok(Common {
        table: get("WAXWING_TABLE").unwrap_or_else(|| "waxwing".to_owned()),
        shards: number(get, "WAXWING_SHARDS", 4, 1..=4_096)?,
        queue_prefix: get("WAXWING_QUEUE_PREFIX").unwrap_or_else(|| "waxwing".to_owned()),
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

/// Whether something is on that is `off` by default.
fn switch(get: Lookup<'_>, variable: &'static str) -> Result<bool, ConfigError> {
    match get(variable).as_deref() {
        None | Some("off") => Ok(false),
        Some("on") => Ok(true),
        Some(_) => Err(problem(variable, "must be `on` or `off`")),
    }
}

/// How far the URLs that callers name may reach; `None` where nothing is said.
fn reach(get: Lookup<'_>) -> Result<Option<Reach>, ConfigError> {
    const VARIABLE: &str = "WAXWING_PRIVATE_ADDRESSES";
    match get(VARIABLE).as_deref() {
        None => Ok(None),
        Some("refuse") => Ok(Some(Reach::INTERNET)),
        Some("loopback") => Ok(Some(Reach::LOOPBACK)),
        Some("allow") => Ok(Some(Reach::PRIVATE)),
        Some(_) => Err(problem(VARIABLE, "must be `allow`, `loopback` or `refuse`")),
    }
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
