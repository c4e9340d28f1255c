//! Rate limits, counted in the table so that any number of processes share them.
//!
//! A window is fixed (it begins at a multiple of its length since the Unix epoch) and its
//! count one item, raised by one atomic update before the work is done: concurrent callers
//! never count too few. One write unit a request.

use std::fmt;
use std::net::IpAddr;

use aws_sdk_dynamodb::types::ReturnValue;
use chrono::{DateTime, TimeDelta, Utc};

use super::error::{StorageError, classify};
use super::item::{Reader, n, seconds};
use super::keys;
use super::table::Table;
use crate::ids::{KeyId, UserId};

/// What is counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Requests with an API key.
    Key(KeyId),
    /// Requests of a user who is logged in.
    User(UserId),
    /// Mails that a user asks for.
    Mail(UserId),
    /// Invitations that a user sends to others.
    Invitations(UserId),
    /// Requests for authentication from a source address.
    Address(IpAddr),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "{id}"),
            Self::User(id) => write!(f, "{id}"),
            Self::Mail(id) => write!(f, "mail#{id}"),
            Self::Invitations(id) => write!(f, "invitations#{id}"),
            Self::Address(address) => write!(f, "address#{}", neighbourhood(*address)),
        }
    }
}

/// Who shares a limit by address: an IPv4 address, or an IPv6 network of 64 bits, which is
/// what one customer line has at least.
pub(super) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// How many requests in how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The most in a window.
    pub requests: u32,
    /// The window's length, in whole seconds.
    pub window: TimeDelta,
}

impl Limit {
    /// So many an hour.
    pub const fn per_hour(requests: u32) -> Self {
        Self {
            requests,
            window: TimeDelta::hours(1),
        }
    }

    /// So many a minute.
    pub const fn per_minute(requests: u32) -> Self {
        Self {
            requests,
            window: TimeDelta::minutes(1),
        }
    }
}

/// Where a caller stands after its request was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The most in a window.
    pub limit: u32,
    /// What is left of it in this window.
    pub remaining: u32,
    /// When the next window begins.
    pub resets_at: DateTime<Utc>,
    /// When this window began.
    pub began_at: DateTime<Utc>,
    /// Whether this request was the window's first.
    pub is_first: bool,
    /// Whether this request was within the limit.
    pub within: bool,
}

/// The rate counters of the table.
#[derive(Debug, Clone)]
pub struct Rates {
    table: Table,
}

impl Rates {
    /// The rate counters of this table.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// Counts a request.
    pub async fn count(&self, scope: Scope, limit: Limit, now: DateTime<Utc>) -> Result<Rate, StorageError> {
        let length = limit.window.num_seconds().max(1);
        let begins = now.timestamp().div_euclid(length) * length;
        let resets_at = DateTime::from_timestamp(begins + length, 0).unwrap_or(now + limit.window);
        let output = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::rate(&scope.to_string(), length, begins).attributes()))
            .update_expression("ADD requests :one SET #exp = :exp")
            .expression_attribute_names("#exp", "exp")
            .expression_attribute_values(":one", n(1))
            .expression_attribute_values(":exp", seconds(resets_at))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(classify)?;
        let item = output.attributes.unwrap_or_default();
        let used: u32 = Reader::new("rate", &item).number("requests")?;
        Ok(Rate {
            limit: limit.requests,
            remaining: limit.requests.saturating_sub(used),
            resets_at,
            began_at: DateTime::from_timestamp(begins, 0).unwrap_or(now),
            is_first: used == 1,
            within: used <= limit.requests,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_share_a_limit_by_their_network() {
        let same = |a: &str, b: &str| {
            let scope = |text: &str| Scope::Address(text.parse().expect("an address")).to_string();
            scope(a) == scope(b)
        };
        assert!(same("2001:db8::1", "2001:db8::ffff:0:0:1"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
    }
}
