//! Rate limits, counted in the table so that any number of processes share them.
//!
//! A window is fixed (it begins at a multiple of its length since the Unix epoch) and its
//! count one item, raised by one atomic update before the work is done: concurrent callers
//! never count too few. Of a large limit a process takes several requests at once (a
//! hundredth of it, ten at most), which it then serves without the table: what it takes and
//! does not use in the window counts as used.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

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
    /// Requests with an API key that were refused for this reason.
    RefusedKey(KeyId, &'static str),
    /// Requests of a user who is logged in.
    User(UserId),
    /// Mails that a user asks for.
    Mail(UserId),
    /// Invitations that a user sends to others.
    Invitations(UserId),
    /// Pairing codes that a user asks for.
    PairingCodes(UserId),
    /// Requests for authentication from a source address.
    Address(IpAddr),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "{id}"),
            Self::RefusedKey(id, reason) => write!(f, "refused#{id}#{reason}"),
            Self::User(id) => write!(f, "{id}"),
            Self::Mail(id) => write!(f, "mail#{id}"),
            Self::Invitations(id) => write!(f, "invitations#{id}"),
            Self::PairingCodes(id) => write!(f, "pairing-codes#{id}"),
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

/// Requests of a window that this process has taken from the shared count and not served.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// When the window began, Unix seconds.
    begins: i64,
    /// The shared count after the last taking.
    total: u32,
    /// What is left of what was taken.
    left: u32,
}

/// Scopes whose takings are remembered; beyond that those of past windows are forgotten,
/// and all if that does not help: what was taken is then lost to its window.
const REMEMBERED: usize = 10_000;

/// The rate counters of the table.
#[derive(Debug, Clone)]
pub struct Rates {
    table: Table,
    taken: Arc<Mutex<HashMap<String, Taken>>>,
}

impl Rates {
    /// The rate counters of this table.
    pub fn new(table: Table) -> Self {
        Self {
            table,
            taken: Arc::default(),
        }
    }

    /// Counts a request. One write unit for each taking.
    pub async fn count(&self, scope: Scope, limit: Limit, now: DateTime<Utc>) -> Result<Rate, StorageError> {
        let length = limit.window.num_seconds().max(1);
        let begins = now.timestamp().div_euclid(length) * length;
        let resets_at = DateTime::from_timestamp(begins + length, 0).unwrap_or(now + limit.window);
        let scope = scope.to_string();
        let rate = |total: u32, left: Option<u32>, is_first| Rate {
            limit: limit.requests,
            remaining: limit.requests.saturating_sub(total) + left.unwrap_or(0),
            resets_at,
            began_at: DateTime::from_timestamp(begins, 0).unwrap_or(now),
            is_first,
            within: left.is_some(),
        };
        if let Some((total, left)) = self.serve(&scope, begins) {
            return Ok(rate(total, Some(left), false));
        }
        let block = (limit.requests / 100).clamp(1, 10);
        let output = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(keys::rate(&scope, length, begins).attributes()))
            .update_expression("ADD requests :block SET #exp = :exp")
            .expression_attribute_names("#exp", "exp")
            .expression_attribute_values(":block", n(block))
            .expression_attribute_values(":exp", seconds(resets_at))
            .return_values(ReturnValue::UpdatedNew)
            .send()
            .await
            .map_err(classify)?;
        let item = output.attributes.unwrap_or_default();
        let total: u32 = Reader::new("rate", &item).number("requests")?;
        let granted = block.saturating_sub(total.saturating_sub(limit.requests));
        let left = granted.checked_sub(1);
        if let Some(left) = left.filter(|left| *left > 0) {
            self.keep(&scope, Taken { begins, total, left });
        }
        Ok(rate(total, left, total == block))
    }

    /// Serves a request from what was taken; answers the shared count and what is left.
    fn serve(&self, scope: &str, begins: i64) -> Option<(u32, u32)> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = taken.get_mut(scope).filter(|entry| entry.begins == begins)?;
        entry.left = entry.left.checked_sub(1)?;
        Some((entry.total, entry.left))
    }

    fn keep(&self, scope: &str, new: Taken) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= REMEMBERED {
            taken.retain(|_, entry| entry.begins >= new.begins);
            if taken.len() >= REMEMBERED {
                taken.clear();
            }
        }
        let entry = taken.entry(scope.to_owned()).or_insert(Taken { left: 0, ..new });
        if entry.begins != new.begins {
            *entry = Taken { left: 0, ..new };
        }
        // Another request may have taken some meanwhile.
        entry.left += new.left;
        entry.total = entry.total.max(new.total);
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
