//! Block lists. A blocked person's messages, calls and chat states do not arrive, and that person sees nothing.
//!
//! The blocked person is not told: what they send is acknowledged and goes nowhere.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::{notices, presence};
use crate::directory::{self, Account, Family};
use crate::error::{Error, Result};
use crate::store::Unit;

/// The most people that one person can block.
const MAX_BLOCKED: usize = 10_000;

/// An account's block list as it stands.
pub(crate) struct Blocklist {
    /// The blocked and the Unix seconds since when, oldest first.
    pub(crate) people: Vec<(Account, i64)>,
    /// Names this state of the list.
    pub(crate) hash: String,
}

/// Whether `phone` has blocked `person`.
pub(crate) fn blocks(unit: &Unit<'_>, phone: &str, person: &str) -> Result<bool> {
    let mut blocked = unit.prepare("SELECT 1 FROM blocks WHERE phone = ?1 AND person = ?2")?;
    Ok(blocked.exists((phone, person))?)
}

/// Whom `phone` has blocked.
pub(crate) fn list(unit: &Unit<'_>, phone: &str) -> Result<Blocklist> {
    let mut people = Vec::new();
    {
        let mut statement = unit
            .prepare("SELECT person, blocked_at FROM blocks WHERE phone = ?1 ORDER BY blocked_at, person")?;
        let rows = statement.query_map([phone], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        for row in rows {
            let (person, at) = row?;
            people.push((directory::require(unit, &person)?, at));
        }
    }
    let hash = super::hash(people.iter().map(|(person, _)| person.lid.as_str()));
    Ok(Blocklist { people, hash })
}

/// Blocks or unblocks `person` for `account`. `origin` is the companion that asked; `believed` is the state in which
/// it knows the list.
///
/// # Errors
/// [`Error::Conflict`] where the list has another state, [`Error::Invalid`] for oneself and for a full list.
pub(crate) fn set(
    unit: &mut Unit<'_>,
    account: &Account,
    person: &Account,
    blocked: bool,
    (origin, believed): (Option<u16>, Option<&str>),
) -> Result<()> {
    if account.phone == person.phone {
        return Err(Error::Invalid("nobody can block themselves".into()));
    }
    let before = list(unit, &account.phone)?;
    if !super::agrees(believed, &before.hash, before.people.is_empty()) {
        return Err(Error::Conflict("the block list has changed meanwhile".into()));
    }
    let changed = if blocked {
        if before.people.len() >= MAX_BLOCKED {
            return Err(Error::Invalid(format!(
                "a block list has up to {MAX_BLOCKED} entries"
            )));
        }
        unit.execute(
            "INSERT OR IGNORE INTO blocks (phone, person, blocked_at) VALUES (?1, ?2, ?3)",
            (&account.phone, &person.phone, unit.now_secs()),
        )?
    } else {
        unit.execute(
            "DELETE FROM blocks WHERE phone = ?1 AND person = ?2",
            (&account.phone, &person.phone),
        )?
    };
    if changed == 0 {
        return Ok(());
    }
    let after = list(unit, &account.phone)?;
    let item = NodeBuilder::new("item")
        .attr("action", if blocked { "block" } else { "unblock" })
        .attr("jid", person.jid(Family::Lid, 0))
        .attr("pn_jid", person.jid(Family::Pn, 0))
        .build();
    let change = NodeBuilder::new("blocklist")
        .attr("prev_dhash", before.hash)
        .attr("dhash", after.hash)
        .attr("addressing_mode", "lid")
        .children([item])
        .build();
    notices::siblings(unit, account, origin, change)?;
    // Each loses, or gets back, the sight of the other.
    presence::show(unit, account, Some(&person.phone))?;
    presence::show(unit, person, Some(&account.phone))
}

/// The `<list>` of the blocked, by LID as it is kept.
pub(crate) fn node(list: &Blocklist) -> Node {
    let items = list.people.iter().map(|(person, at)| {
        NodeBuilder::new("item")
            .attr("jid", person.jid(Family::Lid, 0))
            .attr("pn_jid", person.jid(Family::Pn, 0))
            .attr("t", *at)
            .build()
    });
    NodeBuilder::new("list")
        .attr("dhash", list.hash.as_str())
        .attr("addressing_mode", "lid")
        .children(items)
        .build()
}
