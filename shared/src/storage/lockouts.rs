//! Locks after repeated failures to log in.
//!
//! First the pair of an account and the network that the guesses come from is locked: a guesser locks out itself, and
//! not the account's user. An account as a whole is locked only by many more failures. They take many networks, since
//! each pair stops long before. Even then networks from which somebody has logged in with its password are let in,
//! and so are existing sessions. A source address that tries many accounts is locked for all of them.
//!
//! An attempt of a pair is counted before the password is checked, so no number of guesses at once gets past the
//! limit; a success takes the count back. Addresses and accounts are counted only after a failure: many people may
//! log in from one address at the same time, and a success with one's own password must not buy more guesses.
//!
//! Every scope is one item of fixed size, which runs out by itself. However many accounts a source names, its own
//! limit bounds the items that it makes in a term.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use super::error::{StorageError, classify};
use super::item::{Item, Reader, n, seconds, time};
use super::keys;
use super::once::update_once;
use super::outcome::{condition_failed, held};
use super::rates::neighbourhood;
use super::table::Table;
use crate::domain::account::EmailAddress;

/// How long a lock holds, and how long a failure counts.
pub const TERM: TimeDelta = TimeDelta::minutes(15);

/// How long a network is remembered after the last login from it.
pub const FAMILIAR: TimeDelta = TimeDelta::days(90);

/// What is locked.
#[derive(Debug, Clone)]
pub enum Scope<'a> {
    /// An account by its e-mail address, whether there is one or not, as one network tries it.
    Pair(&'a EmailAddress, Network),
    /// An account, as all networks together try it.
    Account(&'a EmailAddress),
    /// A source address, over all accounts that it tries.
    Address(IpAddr),
    /// A session, by its name, whose user's present password is asked for.
    Session(&'a str),
}

impl Scope<'_> {
    /// Failures within [`TERM`] that lock it.
    pub const fn limit(&self) -> u32 {
        match self {
            Self::Pair(..) | Self::Session(_) => 10,
            Self::Address(_) => 50,
            Self::Account(_) => 100,
        }
    }

    /// Its kind, as the audit log has it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Pair(..) => "network",
            Self::Account(_) => "account",
            Self::Address(_) => "address",
            Self::Session(_) => "session",
        }
    }
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair(email, network) => write!(f, "pair#{}#{network}", email.canonical()),
            Self::Account(email) => write!(f, "account#{}", email.canonical()),
            Self::Address(address) => write!(f, "address#{}", neighbourhood(*address)),
            Self::Session(name) => write!(f, "session#{name}"),
        }
    }
}

/// Where guesses come from; `None` where that is not known. An IPv4 network has 24 bits, since a provider's customer
/// changes between its addresses. An IPv6 network has 64 bits, which one customer line has at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(Option<IpAddr>);

impl Network {
    /// The network of a source address.
    pub fn of(source: Option<IpAddr>) -> Self {
        Self(source.map(|address| match address.to_canonical() {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & !0xff).into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        }))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(IpAddr::V4(address)) => write!(f, "{address}/24"),
            Some(IpAddr::V6(address)) => write!(f, "{address}/64"),
            None => f.write_str("unknown"),
        }
    }
}

/// Whether an attempt may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It may, and counts as a failure until [`Lockouts::succeeded`].
    Allowed,
    /// It may, and is the last one: the lock begins with it.
    Last {
        /// When the lock ends, in whole seconds.
        until: DateTime<Utc>,
    },
    /// There were too many.
    Locked {
        /// When the lock ends.
        until: DateTime<Utc>,
    },
}

/// The locks of the table.
#[derive(Debug, Clone)]
pub struct Lockouts {
    table: Table,
}

impl Lockouts {
    /// The locks of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Counts an attempt. One write unit; two for the one that begins a lock or a new term.
    pub async fn attempt(&self, scope: &Scope<'_>, now: DateTime<Utc>) -> Result<Attempt, StorageError> {
        // A second turn is needed only where the item's term was over and somebody else began a new one first.
        for _ in 0..3 {
            let request = self
                .table.update(&keys::lockout(&scope.to_string()))
                .update_expression(
                    "ADD failures :one SET startedAt = if_not_exists(startedAt, :now), #exp = if_not_exists(#exp, :exp)",
                )
                // No term has begun since the last login, or it is not over; and the item does not run out meanwhile.
                .condition_expression(
                    "(attribute_not_exists(startedAt) AND (attribute_not_exists(#exp) OR #exp >= :exp)) \
                     OR (attribute_not_exists(lockedUntil) AND startedAt > :oldest)",
                )
                .expression_attribute_names("#exp", "exp")
                .expression_attribute_values(":one", n(1))
                .expression_attribute_values(":now", time(now))
                .expression_attribute_values(":oldest", time(now - TERM))
                .expression_attribute_values(":exp", seconds(term_ends(now)))
                .return_values(ReturnValue::UpdatedNew)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let error = match update_once(request).await {
                Ok(output) => {
                    let item = output.attributes.unwrap_or_default();
                    let failures: u32 = Reader::new("lock-out", &item).number("failures")?;
                    return self.counted(scope, failures, now).await;
                }
                Err(error) if condition_failed(&error) => error,
                Err(error) => return Err(classify(error)),
            };
            let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error()
            else {
                return Err(classify(error));
            };
            let item = failed.item.clone().unwrap_or_default();
            if let Some(until) = Reader::new("lock-out", &item).opt_time("lockedUntil")?
                && until > now
            {
                return Ok(Attempt::Locked { until });
            }
            if self.begin_term(scope, &item, now).await? {
                return self.counted(scope, 1, now).await;
            }
        }
        Err(StorageError::Conflict(
            "a lock-out's term ends over and over".into(),
        ))
    }

    async fn counted(
        &self,
        scope: &Scope<'_>,
        failures: u32,
        now: DateTime<Utc>,
    ) -> Result<Attempt, StorageError> {
        if failures < scope.limit() {
            return Ok(Attempt::Allowed);
        }
        let until = lock_ends(now);
        self.lock(scope, until).await?;
        Ok(if failures == scope.limit() {
            Attempt::Last { until }
        } else {
            Attempt::Locked { until }
        })
    }

    /// Until when a scope is locked, without counting an attempt. Half a read unit.
    pub async fn locked_until(
        &self,
        scope: &Scope<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<DateTime<Utc>>, StorageError> {
        let found = self.table.get_recent(&keys::lockout(&scope.to_string())).await?;
        let until = match &found {
            Some(item) => Reader::new("lock-out", item).opt_time("lockedUntil")?,
            None => None,
        };
        Ok(until.filter(|until| *until > now))
    }

    /// Whether somebody has logged in to this account from this network lately. One read unit.
    pub async fn is_familiar(
        &self,
        email: &EmailAddress,
        network: Network,
        now: DateTime<Utc>,
    ) -> Result<bool, StorageError> {
        let key = keys::lockout(&Scope::Pair(email, network).to_string());
        match self.table.get(&key).await? {
            Some(item) => Ok(familiar_until(&item)?.is_some_and(|until| until > now)),
            None => Ok(false),
        }
    }

    /// Takes back a pair's count, ends its lock, and remembers that somebody has logged in to this account from this
    /// network. One write unit.
    pub async fn succeeded(
        &self,
        email: &EmailAddress,
        network: Network,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        self.note_use(email, network, now, " REMOVE failures, startedAt, lockedUntil")
            .await
    }

    /// Remembers that somebody with a session uses this account from this network. The pair's count stays. One write
    /// unit.
    pub async fn remember(
        &self,
        email: &EmailAddress,
        network: Network,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        self.note_use(email, network, now, "").await
    }

    /// Notes that an account is used from a network, and does `more` to the pair's item.
    async fn note_use(
        &self,
        email: &EmailAddress,
        network: Network,
        now: DateTime<Utc>,
        more: &str,
    ) -> Result<(), StorageError> {
        let key = keys::lockout(&Scope::Pair(email, network).to_string());
        self.table
            .update(&key)
            .update_expression(format!("SET loggedInAt = :now, #exp = :exp{more}"))
            .expression_attribute_names("#exp", "exp")
            .expression_attribute_values(":now", time(now))
            .expression_attribute_values(":exp", seconds(now + FAMILIAR))
            .send()
            .await
            .map_err(classify)?;
        Ok(())
    }

    /// Forgets a scope's count and ends its lock.
    pub async fn clear(&self, scope: &Scope<'_>) -> Result<(), StorageError> {
        self.table
            .delete(&keys::lockout(&scope.to_string()))
            .send()
            .await
            .map_err(classify)?;
        Ok(())
    }

    async fn lock(&self, scope: &Scope<'_>, until: DateTime<Utc>) -> Result<(), StorageError> {
        let sent = self
            .table
            .update(&keys::lockout(&scope.to_string()))
            .update_expression("SET lockedUntil = if_not_exists(lockedUntil, :until)")
            // A success that came in between has cleared the count.
            .condition_expression("failures >= :limit")
            .expression_attribute_values(":until", time(until))
            .expression_attribute_values(":limit", n(scope.limit()))
            .send()
            .await;
        held(sent)?;
        Ok(())
    }

    /// Begins a new term with one failure, where the item is as it was read. Answers whether it was. For an item
    /// whose term is over, or that is about to run out.
    async fn begin_term(
        &self,
        scope: &Scope<'_>,
        read: &Item,
        now: DateTime<Utc>,
    ) -> Result<bool, StorageError> {
        let ends = term_ends(now).max(familiar_until(read)?.unwrap_or(now));
        let mut request = self
            .table
            .update(&keys::lockout(&scope.to_string()))
            .update_expression("SET failures = :one, startedAt = :now, #exp = :exp REMOVE lockedUntil")
            .expression_attribute_names("#exp", "exp")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":now", time(now))
            .expression_attribute_values(":exp", seconds(ends));
        request = match read.get("startedAt") {
            Some(started) => request
                .condition_expression("startedAt = :started")
                .expression_attribute_values(":started", started.clone()),
            None => request.condition_expression("attribute_not_exists(startedAt)"),
        };
        held(request.send().await)
    }
}

/// Until when an account's login from a network is remembered.
fn familiar_until(item: &Item) -> Result<Option<DateTime<Utc>>, StorageError> {
    let last = Reader::new("lock-out", item).opt_time("loggedInAt")?;
    Ok(last.map(|at| at + FAMILIAR))
}

/// When a term that begins now can be forgotten. Its last failure may begin a lock, which has to be over by then.
fn term_ends(now: DateTime<Utc>) -> DateTime<Utc> {
    now + TERM * 2 + TimeDelta::seconds(1)
}

/// When a lock that begins now ends, in whole seconds.
fn lock_ends(now: DateTime<Utc>) -> DateTime<Utc> {
    let until = now + TERM;
    match until.duration_trunc(TimeDelta::seconds(1)) {
        Ok(whole) if whole < until => whole + TimeDelta::seconds(1),
        _ => until,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_what_one_customer_changes_between() {
        let of = |text: &str| Network::of(Some(text.parse().expect("an address"))).to_string();
        assert_eq!(of("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of("::ffff:192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_ne!(of("192.0.3.77"), of("192.0.2.77"));
        assert_eq!(Network::of(None).to_string(), "unknown");
    }

    #[test]
    fn a_lock_ends_at_a_whole_second() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
        assert_eq!(lock_ends(at("2026-01-01T00:00:00Z")), at("2026-01-01T00:15:00Z"));
        assert_eq!(
            lock_ends(at("2026-01-01T00:00:00.001Z")),
            at("2026-01-01T00:15:01Z")
        );
    }
}
