//! Rate limits, counted in the table so that any number of processes share them.
//!
//! A window begins at a multiple of its length since the Unix epoch. Its count is one item, raised by one atomic
//! update before the work is done, so concurrent callers never count too few. A process that comes again takes
//! several requests of a large limit at once (a hundredth of the limit, ten at most), and then serves them without
//! the table.
//!
//! Requests that a process takes and does not serve, because it ends, are lost to their window. So the item tells how
//! many are at risk: taken beyond the request in hand, and not yet reported as served. That number never exceeds a
//! twentieth of the limit. Where it would, and for a process's first request, one request is taken at a time. However
//! short processes live, nobody is refused below 95 % of a limit nor let through above it.
//!
//! A process that has seen the window's count reach the limit refuses without asking again.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::ReturnValue;
use chrono::{DateTime, TimeDelta, Utc};

use super::error::{StorageError, classify};
use super::item::{Item, Reader, n, seconds};
use super::keys;
use super::once::update_once;
use super::outcome::condition_failed;
use super::table::Table;
use crate::ids::{InstanceId, KeyId, UserId};
use crate::recent::Recent;

/// What is counted by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Requests with an API key.
    Key(KeyId),
    /// Requests with an API key that were refused for this reason.
    RefusedKey(KeyId, &'static str),
    /// Requests of a user who is logged in.
    User(UserId),
    /// Mails that a user who is logged in asks for.
    Mail(UserId),
    /// Mails for a new password, which anybody may ask for.
    Reset(UserId),
    /// Invitations that a user sends to others.
    Invitations(UserId),
    /// Pairing codes that a user asks for.
    PairingCodes(UserId),
    /// Links to the pairing page that a user makes.
    PairingLinks(UserId),
    /// What whoever has an instance's pairing link asks of it, besides how it is.
    PairingByLink(InstanceId),
    /// Requests for authentication from a source address.
    Address(IpAddr),
    /// Requests of pairing pages from a source address.
    PairingPages(IpAddr),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "{id}"),
            Self::RefusedKey(id, reason) => write!(f, "refused#{id}#{reason}"),
            Self::User(id) => write!(f, "{id}"),
            Self::Mail(id) => write!(f, "mail#{id}"),
            Self::Reset(id) => write!(f, "reset#{id}"),
            Self::Invitations(id) => write!(f, "invitations#{id}"),
            Self::PairingCodes(id) => write!(f, "pairing-codes#{id}"),
            Self::PairingLinks(id) => write!(f, "pairing-links#{id}"),
            Self::PairingByLink(id) => write!(f, "pairing-by-link#{id}"),
            Self::Address(address) => write!(f, "address#{}", neighbourhood(*address)),
            Self::PairingPages(address) => write!(f, "pairing-pages#{}", neighbourhood(*address)),
        }
    }
}

/// The addresses that share a limit: one IPv4 address, or an IPv6 network of 64 bits, which one customer line has at
/// least.
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
    /// What a source address may ask of pairing pages, a connection to the realtime feed included: as much as twenty pages ask
    /// that are open.
    pub const PAIRING_PAGES: Self = Self::per_minute(600);

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

/// What this process knows of a scope.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// When the window began, Unix seconds.
    begins: i64,
    /// The shared count after the last taking.
    total: u32,
    /// What is left of what was taken.
    left: u32,
    /// How much of what was taken counts as at risk.
    at_risk: u32,
    /// From this time on several may be taken at once again.
    blocks_from: DateTime<Utc>,
}

/// What a process is to take from the shared count.
#[derive(Debug, Clone, Copy)]
struct Plan {
    block: u32,
    /// How many are no longer at risk, since they were taken before and are served.
    settled: u32,
}

/// Scopes that a process remembers. Requests taken for a forgotten scope are lost to its window.
const REMEMBERED: usize = 10_000;

/// How long one request at a time is taken after too much was at risk.
const SINGLY: TimeDelta = TimeDelta::seconds(30);

/// The rate counters of the table.
#[derive(Debug, Clone)]
pub struct Rates {
    table: Table,
    taken: Arc<Mutex<Recent<String, Taken>>>,
}

impl Limit {
    /// How many requests a process takes at once.
    fn block(self) -> u32 {
        (self.requests / 100).clamp(1, 10)
    }

    /// How many may be at risk.
    fn risk(self) -> u32 {
        self.requests / 20
    }
}

impl Rates {
    /// The rate counters of this table.
    pub fn new(table: Table) -> Self {
        Self {
            table,
            taken: Arc::new(Mutex::new(Recent::new(REMEMBERED))),
        }
    }

    /// Counts a request. One write unit each time that requests are taken; none where the window is known to be full.
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
        let mut plan = match self.serve(&scope, begins, limit, now) {
            Served::FromTaken { total, left } => return Ok(rate(total, left, false)),
            Served::Not(plan) => plan,
        };
        let key = keys::rate(&scope, length, begins).attributes();
        let mut total = self.take(key.clone(), plan, limit, resets_at).await?;
        if total.is_none() {
            self.take_singly(&scope, now + SINGLY);
            plan.block = 1;
            total = self.take(key, plan, limit, resets_at).await?;
        }
        let total = total.ok_or_else(|| StorageError::Conflict("too much is at risk".into()))?;
        let granted = plan.block.saturating_sub(total.saturating_sub(limit.requests));
        let left = granted.checked_sub(1);
        self.keep(&scope, begins, total, left.unwrap_or(0), plan, now);
        Ok(rate(total, left, total == plan.block))
    }

    /// Raises the shared count and answers it; `None` where too much would be at risk.
    async fn take(
        &self,
        key: Item,
        plan: Plan,
        limit: Limit,
        resets_at: DateTime<Utc>,
    ) -> Result<Option<u32>, StorageError> {
        let risk = i64::from(plan.block) - 1 - i64::from(plan.settled);
        let mut request = self
            .table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(key))
            .update_expression("ADD requests :block, atRisk :risk SET #exp = :exp")
            .expression_attribute_names("#exp", "exp")
            .expression_attribute_values(":block", n(plan.block))
            .expression_attribute_values(":risk", n(risk))
            .expression_attribute_values(":exp", seconds(resets_at))
            .return_values(ReturnValue::UpdatedNew);
        if risk > 0 {
            request = request
                .condition_expression("attribute_not_exists(atRisk) OR atRisk <= :room")
                .expression_attribute_values(":room", n(i64::from(limit.risk()) - risk));
        }
        match update_once(request).await {
            Ok(updated) => {
                let item = updated.attributes.unwrap_or_default();
                Ok(Some(Reader::new("rate", &item).number("requests")?))
            }
            Err(error) if condition_failed(&error) => Ok(None),
            Err(error) => Err(classify(error)),
        }
    }

    /// Serves a request from what was taken, or refuses it where the window is known to be full. Otherwise answers
    /// what to take.
    fn serve(&self, scope: &str, begins: i64, limit: Limit, now: DateTime<Utc>) -> Served {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = taken.get(scope) else {
            // Many processes serve one request and end.
            return Served::Not(Plan { block: 1, settled: 0 });
        };
        if entry.begins == begins {
            if let Some(left) = entry.left.checked_sub(1) {
                entry.left = left;
                let (total, left) = (entry.total, Some(left));
                return Served::FromTaken { total, left };
            }
            if entry.total >= limit.requests {
                let (total, left) = (limit.requests, None);
                return Served::FromTaken { total, left };
            }
        } else {
            *entry = Taken {
                begins,
                total: 0,
                left: 0,
                at_risk: 0,
                blocks_from: entry.blocks_from.min(now),
            };
        }
        let may_take_several = entry.blocks_from <= now && limit.risk() >= limit.block() - 1;
        Served::Not(Plan {
            block: if may_take_several { limit.block() } else { 1 },
            settled: std::mem::take(&mut entry.at_risk),
        })
    }

    fn take_singly(&self, scope: &str, until: DateTime<Utc>) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = taken.get(scope) {
            entry.blocks_from = until;
        }
    }

    fn keep(&self, scope: &str, begins: i64, total: u32, left: u32, plan: Plan, now: DateTime<Utc>) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let at_risk = plan.block - 1;
        match taken.get(scope) {
            // Another request may have taken some meanwhile.
            Some(entry) if entry.begins == begins => {
                entry.total = entry.total.max(total);
                entry.left += left;
                entry.at_risk += at_risk;
            }
            Some(entry) if entry.begins > begins => {}
            _ => {
                let new = Taken {
                    begins,
                    total,
                    left,
                    at_risk,
                    blocks_from: now,
                };
                taken.insert(scope.to_owned(), new);
            }
        }
    }
}

/// What came of looking at what was taken.
enum Served {
    /// It is served, or refused where nothing is left.
    FromTaken { total: u32, left: Option<u32> },
    /// The shared count has to be asked.
    Not(Plan),
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
