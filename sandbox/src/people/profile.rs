//! What a person says of themselves: name, about text, and the timer that their new chats begin with.

use rusqlite::OptionalExtension as _;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::notices;
use super::privacy::Category;
use crate::directory::{Account, Family};
use crate::error::{Error, Result};
use crate::store::Unit;
use crate::wire;

/// The about text of a new account.
const DEFAULT_ABOUT: &str = "Hey there! I am in the sandbox.";

/// The longest about text in characters, as in the apps.
const MAX_ABOUT: usize = 139;

/// The longest push name in characters. The apps stop at 25; other clients may have longer ones.
const MAX_NAME: usize = 128;

/// The timers that the apps offer, in seconds: off, a day, a week, 90 days.
const TIMERS: [u32; 4] = [0, 86_400, 604_800, 7_776_000];

/// An about text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    pub(crate) text: String,
    /// Unix seconds; 0 where it was never set.
    pub(crate) at: i64,
}

/// The person's about text.
pub(crate) fn about(unit: &Unit<'_>, phone: &str) -> Result<About> {
    let stored: Option<(Option<String>, Option<i64>)> = unit
        .prepare("SELECT about, about_at FROM profiles WHERE phone = ?1")?
        .query_row([phone], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(match stored {
        Some((Some(text), at)) => About {
            text,
            at: at.unwrap_or_default(),
        },
        _ => About {
            text: DEFAULT_ABOUT.into(),
            at: 0,
        },
    })
}

/// Changes the about text (empty: none); tells the account's other companions, and those who know the person and
/// may see it.
///
/// # Errors
/// [`Error::Invalid`] for a text that is too long.
pub(crate) fn set_about(
    unit: &mut Unit<'_>,
    account: &Account,
    text: &str,
    origin: Option<u16>,
) -> Result<()> {
    if text.chars().count() > MAX_ABOUT {
        return Err(Error::Invalid(format!(
            "an about text has up to {MAX_ABOUT} characters"
        )));
    }
    unit.execute(
        "INSERT INTO profiles (phone, about, about_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (phone) DO UPDATE SET about = excluded.about, about_at = excluded.about_at",
        (&account.phone, text, unit.now_secs()),
    )?;
    notices::siblings(unit, account, origin, NodeBuilder::new("status").build())?;
    let change = wire::bytes_node("set", text);
    notices::contacts(unit, account, "status", Some(Category::Status), change)
}

/// Gives a person another push name, which from now on goes with each message (`notify`). The account's other
/// companions learn it from app state, which whoever changes the name also writes.
///
/// # Errors
/// [`Error::Invalid`] for an empty name or one that is too long.
pub(crate) fn set_push_name(unit: &Unit<'_>, phone: &str, name: &str) -> Result<()> {
    let length = name.chars().count();
    if length == 0 || length > MAX_NAME {
        return Err(Error::Invalid(format!("a name has 1 to {MAX_NAME} characters")));
    }
    unit.execute("UPDATE phones SET name = ?2 WHERE phone = ?1", (phone, name))?;
    Ok(())
}

/// The names by which the person's devices address people: numbers, or LIDs once the account is migrated.
pub(crate) fn family(unit: &Unit<'_>, phone: &str) -> Result<Family> {
    let migrated = unit
        .prepare("SELECT 1 FROM profiles WHERE phone = ?1 AND lid_migrated")?
        .exists([phone])?;
    Ok(if migrated { Family::Lid } else { Family::Pn })
}

/// Makes an account's devices address people by LID, those linked from now on.
pub(crate) fn migrate(unit: &Unit<'_>, phone: &str) -> Result<()> {
    unit.execute(
        "INSERT INTO profiles (phone, lid_migrated) VALUES (?1, 1)
         ON CONFLICT (phone) DO UPDATE SET lid_migrated = 1",
        [phone],
    )?;
    Ok(())
}

/// The `<disappearing_mode>` with which the person's new chats begin.
pub(crate) fn timer_node(unit: &Unit<'_>, phone: &str) -> Result<Node> {
    let stored: Option<(Option<u32>, Option<i64>)> = unit
        .prepare("SELECT timer, timer_at FROM profiles WHERE phone = ?1")?
        .query_row([phone], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (duration, at) = stored.unwrap_or_default();
    Ok(NodeBuilder::new("disappearing_mode")
        .attr("duration", duration.unwrap_or_default())
        .attr("t", at.unwrap_or_default())
        .build())
}

/// Changes the timer with which the person's new chats begin; tells the account's other companions and those who
/// know the person.
///
/// # Errors
/// [`Error::Invalid`] for one that the apps do not offer.
pub(crate) fn set_timer(
    unit: &mut Unit<'_>,
    account: &Account,
    seconds: u32,
    origin: Option<u16>,
) -> Result<()> {
    if !TIMERS.contains(&seconds) {
        return Err(Error::Invalid(format!("a timer is one of {TIMERS:?} seconds")));
    }
    unit.execute(
        "INSERT INTO profiles (phone, timer, timer_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (phone) DO UPDATE SET timer = excluded.timer, timer_at = excluded.timer_at",
        (&account.phone, seconds, unit.now_secs()),
    )?;
    let change = timer_node(unit, &account.phone)?;
    notices::siblings(unit, account, origin, change.clone())?;
    notices::contacts(unit, account, "disappearing_mode", None, change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::identity;
    use crate::store::testing::Bench;

    #[test]
    fn what_is_too_long_or_not_offered_is_refused() {
        let mut bench = Bench::new();
        bench.run(|unit| {
            let account = identity::create(unit, None, None)?;
            assert_eq!(about(unit, &account.phone)?.at, 0);
            let long = "ü".repeat(MAX_ABOUT);
            set_about(unit, &account, &long, None)?;
            assert_eq!(about(unit, &account.phone)?.text, long);
            assert!(matches!(
                set_about(unit, &account, &(long + "."), None),
                Err(Error::Invalid(_))
            ));
            assert!(matches!(
                set_timer(unit, &account, 60, None),
                Err(Error::Invalid(_))
            ));
            assert!(matches!(
                set_push_name(unit, &account.phone, ""),
                Err(Error::Invalid(_))
            ));
            Ok(())
        });
    }
}
