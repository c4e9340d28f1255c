//! Whom a person knows.
//!
//! "My contacts" of the privacy settings are the people whom the person has written to or has saved. A stranger who
//! writes to a person does not become that person's contact.

use crate::error::Result;
use crate::store::Unit;

/// Makes `person` a contact of `phone`.
pub(crate) fn add(unit: &Unit<'_>, phone: &str, person: &str) -> Result<()> {
    if phone != person {
        unit.execute(
            "INSERT OR IGNORE INTO contacts (phone, person) VALUES (?1, ?2)",
            (phone, person),
        )?;
    }
    Ok(())
}

/// Takes `person` off the contacts of `phone`.
pub(crate) fn remove(unit: &Unit<'_>, phone: &str, person: &str) -> Result<()> {
    unit.execute(
        "DELETE FROM contacts WHERE phone = ?1 AND person = ?2",
        (phone, person),
    )?;
    Ok(())
}

/// Whether `person` is a contact of `phone`.
pub(crate) fn has(unit: &Unit<'_>, phone: &str, person: &str) -> Result<bool> {
    let mut known = unit.prepare("SELECT 1 FROM contacts WHERE phone = ?1 AND person = ?2")?;
    Ok(known.exists((phone, person))?)
}

/// Whom `phone` knows.
pub(crate) fn of(unit: &Unit<'_>, phone: &str) -> Result<Vec<String>> {
    let mut statement = unit.prepare("SELECT person FROM contacts WHERE phone = ?1")?;
    let people = statement.query_map([phone], |row| row.get(0))?;
    Ok(people.collect::<rusqlite::Result<_>>()?)
}

/// Those who have `person` among their contacts, and are told what changes with them.
pub(crate) fn who_know(unit: &Unit<'_>, person: &str) -> Result<Vec<String>> {
    let mut statement = unit.prepare("SELECT phone FROM contacts WHERE person = ?1")?;
    let phones = statement.query_map([person], |row| row.get(0))?;
    Ok(phones.collect::<rusqlite::Result<_>>()?)
}
