//! Who is there, and who hears of it.
//!
//! A companion says `available` and `unavailable`; a person is there while one of their devices is. Both hold for one
//! connection: when it ends the device is away, and its subscriptions are gone. Presence is never queued: a device
//! that was not connected asks anew when it is back.

use rusqlite::OptionalExtension as _;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::privacy::{self, Category};
use super::profile;
use crate::directory::{self, Account, Address, Family};
use crate::error::Result;
use crate::store::Unit;
use crate::wire;

/// What stands in for the time that a person does not show.
const HIDDEN: &str = "deny";

/// Stands for the connection of a phone's own person, since phones have none.
const PHONE: i64 = 0;

/// Takes a client's `<presence>`. It is never answered; what cannot be understood has no effect.
pub(crate) fn take(unit: &mut Unit<'_>, from: &Address, connection: u64, node: &Node) -> Result<()> {
    let connection = connection.cast_signed();
    if let Some(name) = wire::attr(node, "name").filter(|name| !name.is_empty()) {
        profile::set_push_name(unit, &from.phone, &name)?;
    }
    match wire::attr(node, "type").as_deref() {
        // Without a type only the name is meant.
        None if wire::attr(node, "name").is_some() => Ok(()),
        None | Some("available") => set(unit, from, connection, true),
        Some("unavailable") => set(unit, from, connection, false),
        Some("subscribe") => subscribe(unit, from, connection, node),
        Some("unsubscribe") => unsubscribe(unit, from, node),
        Some(_) => Ok(()),
    }
}

/// A phone's own person comes or goes.
pub(crate) fn set_phone(unit: &mut Unit<'_>, phone: &str, available: bool) -> Result<()> {
    set(unit, &Address::primary(phone), PHONE, available)
}

/// Whether a person is there.
pub(crate) fn is_available(unit: &Unit<'_>, phone: &str) -> Result<bool> {
    let mut there = unit.prepare("SELECT 1 FROM available WHERE phone = ?1")?;
    Ok(there.exists([phone])?)
}

/// A connection has ended.
pub(crate) fn gone(unit: &mut Unit<'_>, from: &Address, connection: u64) -> Result<()> {
    let connection = connection.cast_signed();
    unit.execute(
        "DELETE FROM presence_watchers WHERE watcher = ?1 AND device = ?2 AND connection = ?3",
        (&from.phone, from.device, connection),
    )?;
    change(unit, &from.phone, |unit| {
        unit.execute(
            "DELETE FROM available WHERE phone = ?1 AND device = ?2 AND connection = ?3",
            (&from.phone, from.device, connection),
        )
    })
}

/// Forgets the presence of connections from before the network ended. Their people count as last seen when they were
/// last heard of.
pub(crate) fn reset(unit: &Unit<'_>) -> Result<()> {
    unit.execute("DELETE FROM presence_watchers", [])?;
    unit.execute(
        "INSERT INTO profiles (phone, last_seen)
         SELECT phone, MAX(since) FROM available WHERE device <> 0 GROUP BY phone
         ON CONFLICT (phone) DO UPDATE SET last_seen = excluded.last_seen",
        [],
    )?;
    unit.execute("DELETE FROM available WHERE device <> 0", [])?;
    Ok(())
}

fn set(unit: &mut Unit<'_>, from: &Address, connection: i64, available: bool) -> Result<()> {
    let now = unit.now_secs();
    change(unit, &from.phone, |unit| {
        if available {
            unit.execute(
                "INSERT OR REPLACE INTO available (phone, device, connection, since) VALUES (?1, ?2, ?3, ?4)",
                (&from.phone, from.device, connection, now),
            )
        } else {
            unit.execute(
                "DELETE FROM available WHERE phone = ?1 AND device = ?2",
                (&from.phone, from.device),
            )
        }
    })
}

/// Makes a change, and tells those who watch if the person came or went by it.
fn change(
    unit: &mut Unit<'_>,
    phone: &str,
    act: impl FnOnce(&Unit<'_>) -> rusqlite::Result<usize>,
) -> Result<()> {
    let before = is_available(unit, phone)?;
    act(unit)?;
    let after = is_available(unit, phone)?;
    if before == after {
        return Ok(());
    }
    // The account may be gone, and its connections end after it.
    let Some(account) = directory::by_phone(unit, phone)? else {
        return Ok(());
    };
    if !after {
        unit.execute(
            "INSERT INTO profiles (phone, last_seen) VALUES (?1, ?2)
             ON CONFLICT (phone) DO UPDATE SET last_seen = excluded.last_seen",
            (phone, unit.now_secs()),
        )?;
    }
    show(unit, &account, None)
}

fn subscribe(unit: &mut Unit<'_>, from: &Address, connection: i64, node: &Node) -> Result<()> {
    let Some(to) = wire::attr_jid(node, "to") else {
        return Ok(());
    };
    let (Some(person), Some(family)) = (directory::resolve(unit, &to)?, Family::of(&to)) else {
        return Ok(());
    };
    unit.execute(
        "INSERT OR REPLACE INTO presence_watchers (person, watcher, device, connection, family)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            &person.phone,
            &from.phone,
            from.device,
            connection,
            family.as_str(),
        ),
    )?;
    let node = view(unit, &from.phone, &person, family)?;
    unit.pass(from.clone(), &node)
}

fn unsubscribe(unit: &mut Unit<'_>, from: &Address, node: &Node) -> Result<()> {
    let to = wire::attr_jid(node, "to");
    if let Some(to) = to
        && let Some(person) = directory::resolve(unit, &to)?
    {
        unit.execute(
            "DELETE FROM presence_watchers WHERE person = ?1 AND watcher = ?2 AND device = ?3",
            (&person.phone, &from.phone, from.device),
        )?;
    }
    Ok(())
}

/// Shows those who watch `person`, or the one of them named, how the person stands to them now.
pub(crate) fn show(unit: &mut Unit<'_>, person: &Account, only: Option<&str>) -> Result<()> {
    let watchers: Vec<(Address, String)> = {
        let mut statement =
            unit.prepare("SELECT watcher, device, family FROM presence_watchers WHERE person = ?1")?;
        let rows = statement.query_map([&person.phone], |row| {
            Ok((Address::new(row.get::<_, String>(0)?, row.get(1)?), row.get(2)?))
        })?;
        rows.collect::<rusqlite::Result<_>>()?
    };
    for (watcher, family) in watchers {
        if only.is_none_or(|only| watcher.phone == only) {
            let node = view(unit, &watcher.phone, person, Family::named(&family))?;
            unit.pass(watcher, &node)?;
        }
    }
    Ok(())
}

/// Shows `watcher` once more all whom they watch.
pub(crate) fn show_others(unit: &mut Unit<'_>, watcher: &Account) -> Result<()> {
    let people: Vec<String> = unit
        .prepare("SELECT DISTINCT person FROM presence_watchers WHERE watcher = ?1")?
        .query_map([&watcher.phone], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for phone in people {
        let person = directory::require(unit, &phone)?;
        show(unit, &person, Some(&watcher.phone))?;
    }
    Ok(())
}

/// How `person` stands to `viewer`.
fn view(unit: &Unit<'_>, viewer: &str, person: &Account, family: Family) -> Result<Node> {
    let builder = NodeBuilder::new("presence").attr("from", person.jid(family, 0));
    let there = is_available(unit, &person.phone)?
        && privacy::may_see(unit, viewer, &person.phone, Category::Online)?;
    if there {
        return Ok(builder.build());
    }
    let builder = builder.attr("type", "unavailable");
    if !privacy::may_see(unit, viewer, &person.phone, Category::Last)? {
        return Ok(builder.attr("last", HIDDEN).build());
    }
    let last: Option<i64> = unit
        .prepare("SELECT last_seen FROM profiles WHERE phone = ?1")?
        .query_row([&person.phone], |row| row.get(0))
        .optional()?
        .flatten();
    Ok(match last {
        Some(last) => builder.attr("last", last).build(),
        None => builder.build(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    fn stands(unit: &Unit<'_>, viewer: &Account, person: &Account) -> Result<(bool, Option<String>)> {
        let node = view(unit, &viewer.phone, person, Family::Lid)?;
        Ok((
            wire::attr(&node, "type").is_none(),
            wire::attr(&node, "last").map(std::borrow::Cow::into_owned),
        ))
    }

    #[test]
    fn a_person_is_there_while_one_device_is() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let viewer = identity::create(unit, None, None)?;
            let person = identity::create(unit, None, None)?;
            let device = |number| Address::new(&person.phone, number);
            assert_eq!(stands(unit, &viewer, &person)?, (false, None));
            set(unit, &device(1), 7, true)?;
            set(unit, &device(2), 8, true)?;
            set(unit, &device(1), 7, false)?;
            assert!(stands(unit, &viewer, &person)?.0);
            // The end of a connection that was replaced says nothing of the one that replaced it.
            set(unit, &device(2), 9, true)?;
            gone(unit, &device(2), 8)?;
            assert!(stands(unit, &viewer, &person)?.0);
            gone(unit, &device(2), 9)?;
            let (there, last) = stands(unit, &viewer, &person)?;
            assert!(!there && last.is_some());
            Ok(())
        });
    }

    #[test]
    fn a_new_start_finds_nobody_there_and_remembers_when_they_were() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let viewer = identity::create(unit, None, None)?;
            let person = identity::create(unit, None, None)?;
            set(unit, &Address::new(&person.phone, 1), 7, true)?;
            set_phone(unit, &viewer.phone, true)?;
            reset(unit)?;
            let (there, last) = stands(unit, &viewer, &person)?;
            assert!(!there && last.is_some());
            assert!(is_available(unit, &viewer.phone)?, "what a script set stays");
            Ok(())
        });
    }
}
