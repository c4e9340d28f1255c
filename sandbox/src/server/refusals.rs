//! How the server turns clients away: logins that are refused, streams that it ends.
//!
//! Most of what can go wrong with an account shows only here: unlinked (401), banned for a time (402), locked (403),
//! outdated (405), a server in trouble (5xx). A standing refusal is part of the account's state and survives a
//! restart. One with an end is over by itself.

use rusqlite::OptionalExtension as _;
use serde::{Deserialize, Serialize};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::registry::Client;
use crate::error::{Error, Result};
use crate::store::Unit;

/// Why a login is refused: the `<failure>` that answers it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refusal {
    /// The failure's `reason`, 400 to 599.
    pub reason: u16,
    /// What a ban (402) is for: 101 to 106.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// When it ends, in milliseconds since the Unix epoch; without it the refusal holds until it is lifted. A ban
    /// needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
}

impl Refusal {
    /// The device is not, or no longer, linked.
    pub const UNLINKED: Self = Self::plain(401);
    /// The account is locked.
    pub const LOCKED: Self = Self::plain(403);
    /// The client's version is too old.
    pub const OUTDATED: Self = Self::plain(405);
    /// The server cannot take the client now.
    pub const UNAVAILABLE: Self = Self::plain(503);

    /// A refusal that says nothing but its reason and holds until it is lifted.
    pub const fn plain(reason: u16) -> Self {
        Self {
            reason,
            code: None,
            until_ms: None,
        }
    }

    /// A ban that ends.
    pub const fn banned(code: u32, until_ms: i64) -> Self {
        Self {
            reason: 402,
            code: Some(code),
            until_ms: Some(until_ms),
        }
    }

    fn check(&self) -> Result<()> {
        if !(400..600).contains(&self.reason) {
            return Err(Error::Invalid("`reason` is 400 to 599".into()));
        }
        if self.reason == 402 && (self.code.is_none() || self.until_ms.is_none()) {
            return Err(Error::Invalid("a ban (402) needs a `code` and an end".into()));
        }
        Ok(())
    }

    /// The stanza, at `now_ms`: a ban says for how many more seconds it holds.
    pub(crate) fn failure(&self, now_ms: i64) -> Node {
        let mut failure = NodeBuilder::new("failure")
            .attr("reason", self.reason)
            .attr("location", "sbx");
        if let Some(code) = self.code {
            failure = failure.attr("code", code);
        }
        if let Some(until) = self.until_ms {
            // Rounded up: a client that waits it out is not a moment too early.
            let left = until.saturating_sub(now_ms).max(0).unsigned_abs().div_ceil(1000);
            failure = failure.attr("expire", left);
        }
        failure.build()
    }
}

/// How the server ends a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamEnd {
    /// 515: the client is to connect again at once, as after pairing.
    Restart,
    /// 516: the device was unlinked.
    Unlinked,
    /// 401 with `<conflict type="device_removed"/>`: the device was unlinked.
    DeviceRemoved,
    /// `<conflict type="replaced"/>` and no code: the device connected from elsewhere. Clients differ in whether they
    /// look at the code or the conflict first, and the real server sends none here.
    Replaced,
    /// 429: too many requests.
    RateLimited,
    /// 503: the server goes down.
    Unavailable,
    /// `<xmlstreamend/>`: nothing is wrong.
    Closed,
}

impl StreamEnd {
    /// The last stanza of the stream.
    pub(crate) fn stanza(self) -> Node {
        let (code, conflict) = match self {
            Self::Closed => return NodeBuilder::new("xmlstreamend").build(),
            Self::Restart => (Some("515"), None),
            Self::Unlinked => (Some("516"), None),
            Self::DeviceRemoved => (Some("401"), Some("device_removed")),
            Self::Replaced => (None, Some("replaced")),
            Self::RateLimited => (Some("429"), None),
            Self::Unavailable => (Some("503"), None),
        };
        let mut error = NodeBuilder::new("stream:error");
        if let Some(code) = code {
            error = error.attr("code", code);
        }
        let conflict = conflict.map(|kind| NodeBuilder::new("conflict").attr("type", kind).build());
        match conflict {
            Some(conflict) => error.children([conflict]).build(),
            None => error.build(),
        }
    }
}

/// Ends a client's stream with its reason; one that takes no more stanzas is closed without.
pub(crate) fn end(client: &Client, how: StreamEnd) {
    if client.send_last(&how.stanza()).is_err() {
        client.close.cancel();
    }
}

/// Refuses all logins of an account's companions from now on.
pub(crate) fn set(unit: &Unit<'_>, phone: &str, refusal: &Refusal) -> Result<()> {
    refusal.check()?;
    crate::directory::require(unit, phone)?;
    unit.execute(
        "INSERT OR REPLACE INTO refusals (phone, reason, code, until_ms) VALUES (?1, ?2, ?3, ?4)",
        (phone, refusal.reason, refusal.code, refusal.until_ms),
    )?;
    Ok(())
}

/// Ends an account's refusal. `false` if there is none.
pub(crate) fn lift(unit: &Unit<'_>, phone: &str) -> Result<bool> {
    Ok(unit.execute("DELETE FROM refusals WHERE phone = ?1", [phone])? > 0)
}

/// The refusal in force for an account. One whose end has come is gone.
pub(crate) fn standing(unit: &Unit<'_>, phone: &str) -> Result<Option<Refusal>> {
    let refusal = unit
        .prepare("SELECT reason, code, until_ms FROM refusals WHERE phone = ?1")?
        .query_row([phone], |row| {
            Ok(Refusal {
                reason: row.get(0)?,
                code: row.get(1)?,
                until_ms: row.get(2)?,
            })
        })
        .optional()?;
    Ok(refusal.filter(|refusal| refusal.until_ms.is_none_or(|until| until > unit.now_ms())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;
    use crate::wire;

    #[test]
    fn a_ban_counts_down_and_ends() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let phone = identity::create(unit, None, None)?.phone;
            let ban = Refusal::banned(101, unit.now_ms() + 60_000);
            set(unit, &phone, &ban)?;
            assert_eq!(standing(unit, &phone)?, Some(ban.clone()));
            let failure = ban.failure(unit.now_ms());
            assert_eq!(wire::attr(&failure, "expire").as_deref(), Some("60"));
            set(unit, &phone, &Refusal::banned(101, unit.now_ms() - 1))?;
            assert_eq!(standing(unit, &phone)?, None);
            set(unit, &phone, &Refusal::LOCKED)?;
            assert_eq!(standing(unit, &phone)?, Some(Refusal::LOCKED));
            assert!(lift(unit, &phone)? && !lift(unit, &phone)?);
            Ok(())
        });
    }

    #[test]
    fn refusals_that_say_too_little_are_not_taken() {
        for bad in [Refusal::plain(200), Refusal::plain(600), Refusal::plain(402)] {
            assert!(matches!(bad.check(), Err(Error::Invalid(_))), "{bad:?}");
        }
    }
}
